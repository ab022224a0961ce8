"""Passes whose gradients go to the perturbation alone, and that keep nothing for gradients of the weights."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Has parameters need no gradient in the ``with`` block, which must also hold the backward passes of its passes.

    A linear layer keeps its input for the gradient of its weight, whether or not that is asked for later. Blocks that
    are checkpointed run again in the backward pass, and have to find there what they found before.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
