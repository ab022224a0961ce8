"""Random state and mode of dropout, so that an adversarial pass has the clean pass's masks, new ones, or none."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def random_state(device: torch.device) -> list[Tensor]:
    """State of the random generators that dropout draws from on ``device``."""
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
    """Restores the state of the random generators after the ``with`` block, whatever is drawn inside."""
    state = random_state(device)
    try:
        yield
    finally:
        set_random_state(device, state)


@contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    """Puts the model in evaluation mode, and each module back in its own mode after the ``with`` block."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
