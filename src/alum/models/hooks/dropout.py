"""The dropout masks of an adversarial pass above x: those of the clean pass, new ones, or none."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def random_state(device: torch.device) -> list[Tensor]:
    """The state of the generators that dropout draws from on ``device``."""
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
    """Whatever is drawn inside, afterwards the generators stand where they stood."""
    state = random_state(device)
    try:
        yield
    finally:
        set_random_state(device, state)


@contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode, and each module back in its own mode afterwards."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
