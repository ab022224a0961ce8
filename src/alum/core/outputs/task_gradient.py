"""Gradient of the task loss at x as a direction for every row, also where the model is sure of it or wrong about it."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from alum.core.batch import Batch
from alum.core.errors import InputError
from alum.core.outputs.output_gradients import zero_with_gradient

SURE = 2.0**-20
"""Probability of another label below which a row's gradient is in a good part rounding of fp32, and at last zero."""


def kept_from_vanishing(batch: Batch, task_loss: Tensor, outputs: Tensor) -> Tensor:
    """Task loss whose gradient does not vanish in rows that the model is sure of.

    The cross-entropy has the gradient (1 - p) ∇L with the log odds L against the right label (`log_odds`).
    Where 1 - p is below `SURE` for the most likely label, `SURE` · ∇L at that label is added: rounding would have had
    the direction otherwise. What this adds to the gradient of the weights is below one millionth of a row's ∇L.
    """
    leaf = outputs.detach().requires_grad_()
    with torch.enable_grad():
        log_odds = batch.log_odds_against_likeliest(leaf)
        if log_odds is None or not log_odds.numel():
            return task_loss
        at_sure_rows = torch.where(log_odds < math.log(SURE), log_odds, 0.0).sum()
        (gradient,) = torch.autograd.grad(at_sure_rows, leaf)
    added = SURE * batch.scale / len(log_odds) * gradient.float()
    return task_loss + zero_with_gradient(outputs, lambda factor: (factor * added).to(outputs.dtype))


@contextmanager
def turned_where_wrong(x: Tensor, outputs: Tensor) -> Iterator[Callable[[Tensor], Tensor]]:
    """Yields what turns a gradient at x in rows whose most likely label is not their own, after a backward pass inside.

    Of the gradient at the outputs, p - onehot(y), only the right label's coordinate is negative, which tells it from
    the others. With two labels the turned gradient is that of the loss at the most likely one, -∇log p(ŷ), up to a
    factor; with more it raises the right label's probability, at the cost of the most likely one's among others.
    """
    if outputs.dim() != 2 or outputs.shape[1] < 2 or not len(outputs) or len(x) % len(outputs):
        raise InputError(
            "ascent 'predicted' with the task loss's own gradient is for tasks with one label out of several for each "
            "row. Choose ascent 'task_loss', or method 'alum_virtual', whose direction needs no label."
        )
    at_outputs: list[Tensor] = []
    handle = outputs.register_hook(at_outputs.append)

    def turned(gradient: Tensor) -> Tensor:
        if not at_outputs:
            raise InputError(
                "ascent 'predicted' needs a task loss that is computed from the outputs which are compared, and this "
                "one is not. Choose ascent 'task_loss', or method 'alum_virtual'."
            )
        is_wrong = at_outputs[0].argmin(-1) != outputs.detach().argmax(-1)
        sign = torch.where(is_wrong, -1.0, 1.0).repeat_interleave(len(x) // len(outputs))
        return gradient * sign.to(gradient.dtype).view(-1, *[1] * (gradient.dim() - 1))

    try:
        yield turned
    finally:
        handle.remove()
