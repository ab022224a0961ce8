"""Scale at which a loss is back-propagated, noted in one backward pass of a step and compared in the next."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function


class LossScale:
    """Gradient that comes to the loss of a micro-batch from above: the factors that others put on it.

    A loss that is back-propagated in two parts is one loss only where both parts have the same factor.

    >>> import torch
    >>> weight, scale = torch.tensor(2.0, requires_grad=True), LossScale()
    >>> scale.noted(weight * 5).backward()
    >>> (3 * scale.compared(weight * 7, print)).backward()
    tensor(3.)
    """

    def __init__(self) -> None:
        self._noted: Tensor | None = None

    def noted(self, loss: Tensor) -> Tensor:
        """Returns the value of ``loss``; its backward pass notes the factor that comes to it."""

        def note(factor: Tensor) -> None:
            self._noted = factor

        return _seen(loss, note)

    def compared(self, loss: Tensor, told: Callable[[Tensor], None]) -> Tensor:
        """Returns the value of ``loss``; its backward pass tells by which ratio its factor differs from the noted one.

        The ratio is 1 where none was noted. It is a tensor: reading it would make the device wait.
        """

        def compare(factor: Tensor) -> None:
            told(torch.ones_like(factor) if self._noted is None else factor / self._noted)

        return _seen(loss, compare)


def _seen(loss: Tensor, see: Callable[[Tensor], None]) -> Tensor:
    seen: Tensor = _Seen.apply(loss, see)  # type: ignore[no-untyped-call]
    return seen


class _Seen(Function):
    @staticmethod
    def forward(context: Any, loss: Tensor, see: Callable[[Tensor], None]) -> Tensor:
        context.see = see
        return loss.view_as(loss)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Any:
        context.see(gradients[0])
        return gradients[0], None
