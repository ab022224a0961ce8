"""Gradients at a model's outputs, worked out for some items at a time and no earlier than they are needed.

Over a vocabulary, outputs ``[items, classes]`` are as large as what a block saves, and so is each tensor between them
and a loss.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from alum.core.outputs.rows import power_of_two

_NUM_PARTS = 32
_MIN_PART_SIZE = 2**14
"""Number of values below which outputs are one part."""
_SMALLEST_SCALE = 2.0**-100


def gradients_by_parts(loss: Callable[[Tensor, slice], Tensor], outputs: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yields slices of the outputs ``[items, ...]``, and the gradients there, in fp32, of a loss that sums over items.

    ``loss`` takes such a slice's outputs, and the slice.
    """
    num_items = max(len(outputs) // _NUM_PARTS, _MIN_PART_SIZE * len(outputs) // max(outputs.numel(), 1), 1)
    for start in range(0, len(outputs), num_items):
        part = slice(start, start + num_items)
        with torch.enable_grad():
            # A copy: a loss that saves it does not hold all outputs.
            leaf = outputs[part].detach().to(torch.float32, copy=True).requires_grad_()
            (gradient,) = torch.autograd.grad(loss(leaf, part), leaf)
        yield part, gradient


def gradient_at_own_scale(loss: Callable[[Tensor, slice], Tensor], outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the gradient of such a loss, its largest value of the order of 1, and the power of two it was divided by.

    The gradient has the precision of the outputs. Where a model is sure of all items, half precision would lose it.
    """
    divided, own = torch.empty_like(outputs), []
    for part, gradient in gradients_by_parts(loss, outputs):
        own.append((part, power_of_two(gradient.flatten()).squeeze()))
        divided[part] = gradient / own[-1][1]
    scale = torch.stack([outputs.new_tensor(_SMALLEST_SCALE, dtype=torch.float32), *(each for _, each in own)]).amax()
    for part, each in own:
        divided[part] *= each / scale
    return divided, scale


def zero_with_gradient(outputs: Tensor, gradient: Callable[[Tensor], Tensor]) -> Tensor:
    """Returns zero, whose backward pass asks ``gradient`` for what it is at ``outputs``, given the factor on the zero.

    It is asked as late as can be. Where a loss goes back to the same outputs, what that saved for its own backward pass
    is gone by then.
    """
    zero: Tensor = _Zero.apply(outputs, gradient)  # type: ignore[no-untyped-call]
    # Of the nodes that are ready, autograd runs that of the highest number first, which is by default the last made.
    zero.grad_fn._set_sequence_nr(0)  # type: ignore[union-attr]
    return zero


class _Zero(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, outputs: Tensor, gradient: Callable[[Tensor], Tensor]) -> Tensor:
        context.gradient = gradient
        return outputs.new_zeros((), dtype=torch.float32)

    @staticmethod
    def backward(context: Any, factor: Tensor) -> tuple[Tensor, None]:
        return context.gradient(factor), None
