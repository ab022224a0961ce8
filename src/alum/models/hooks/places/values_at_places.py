"""Hidden vectors at several places as one tensor, with a gradient of its own."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from alum.core.errors import InputError


class ValuesAtPlaces:
    """Hidden vectors ``[batch, length, hidden]`` of several places in a pass, x ``[batch · places, length, hidden]``.

    Row b · places + p has the b-th sequence at the p-th place, so that each has a radius of its own. x is a leaf whose
    gradient at each place is that of the vectors which the pass goes on with, as if x were added to zero there: later
    ones depend on earlier ones, so no tensor that is made of them all could stand before them in the graph.

    >>> weight, values = torch.tensor(3.0, requires_grad=True), ValuesAtPlaces(2)
    >>> first = values.seen(0, weight * torch.ones(1, 1, 1))
    >>> second = values.seen(1, 5 * first)
    >>> (7 * second).sum().backward()
    >>> values.x.flatten(), values.x.grad.flatten(), weight.grad
    (tensor([ 3., 15.], grad_fn=<ViewBackward0>), tensor([35.,  7.]), tensor(35.))
    """

    def __init__(self, num_places: int) -> None:
        self._num_places = num_places
        self._x: Tensor | None = None

    @property
    def x(self) -> Tensor:
        assert self._x is not None, "no clean pass was run"
        return self._x

    def seen(self, place: int, vectors: Tensor) -> Tensor:
        """Notes the vectors at a place, and returns them for the pass to go on with."""
        if self._x is None:
            rows = len(vectors) * self._num_places
            self._x = vectors.new_zeros((rows, *vectors.shape[1:]), dtype=torch.float32)
            self._x.requires_grad_(torch.is_grad_enabled())
        own = self._x.detach()[place :: self._num_places]
        if own.shape != vectors.shape:
            raise InputError(
                f"several places can be perturbed at once where their vectors are alike, but here they are "
                f"{list(own.shape)} and {list(vectors.shape)}. Choose one layer."
            )
        own.copy_(vectors.detach())
        seen: Tensor = _Seen.apply(vectors, self._x, place, self._num_places)  # type: ignore[no-untyped-call]
        return seen

    def at(self, place: int, x: Tensor) -> Tensor:
        """Part of a tensor such as x that belongs to a place."""
        return x[place :: self._num_places]


class _Seen(Function):
    @staticmethod
    def forward(context: Any, vectors: Tensor, x: Tensor, place: int, num_places: int) -> Tensor:
        context.place, context.num_places = place, num_places
        return vectors.view_as(vectors)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Any:
        rows = len(gradient) * context.num_places
        at_x = gradient.new_zeros((rows, *gradient.shape[1:]), dtype=torch.float32)
        at_x[context.place :: context.num_places] = gradient
        return gradient, at_x, None, None
