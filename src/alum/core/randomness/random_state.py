"""State of the global random generators that dropout draws from, kept and set again."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def random_state(device: torch.device) -> list[Tensor]:
    """State of the random generator that dropout draws from on ``device``."""
    if device.type == "cuda":
        return [torch.cuda.get_rng_state(device)]
    return [torch.get_rng_state()]


def set_random_state(device: torch.device, state: list[Tensor]) -> None:
    if device.type == "cuda":
        torch.cuda.set_rng_state(state[0], device)
    else:
        torch.set_rng_state(state[0])


@contextmanager
def keeping_random_state(device: torch.device) -> Iterator[None]:
    """Restores the state of the random generator after the ``with`` block: what is drawn inside is drawn again."""
    state = random_state(device)
    try:
        yield
    finally:
        set_random_state(device, state)
