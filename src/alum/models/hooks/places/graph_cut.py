"""Two backward passes that go through the part of the autograd graph that they share as one."""

from typing import Any

from torch import Tensor
from torch.autograd import Function


class GraphCut:
    """A cut through an autograd graph at some tensors: two backward passes go through the graph before it as one.

    The first pass stops at copies of these tensors and leaves its gradients there. The second adds them to its own and
    goes on to the leaves. It must not reach nodes that the first has been through by another way: they are freed.

    >>> import torch
    >>> weight, cut = torch.tensor(3.0, requires_grad=True), GraphCut()
    >>> x = 2 * weight
    >>> (10 * cut.copy_of(x)).backward()
    >>> weight.grad is None
    True
    >>> (1 * cut.joined(x)).backward()
    >>> weight.grad  # 2 · (10 + 1)
    tensor(22.)
    """

    def __init__(self) -> None:
        self._pairs: dict[int, tuple[Tensor, Tensor]] = {}

    def copy_of(self, original: Tensor) -> Tensor:
        """Copies a tensor to a leaf that gets a gradient even where ``original`` needs none; always the same leaf."""
        if id(original) not in self._pairs:
            self._pairs[id(original)] = original, original.detach().requires_grad_()
        return self._pairs[id(original)][1]

    def copied(self, value: Any) -> Any:
        """Returns the copy of ``value`` where it has one, else ``value``."""
        return self._pairs[id(value)][1] if id(value) in self._pairs else value

    def joined(self, x: Tensor) -> Tensor:
        """Returns the values of ``x``; their backward pass takes the gradients of all copies on to the originals."""
        if not self._pairs:
            return x
        originals, copies = zip(*self._pairs.values(), strict=True)
        joined: Tensor = _Joined.apply(copies, x, *originals)  # type: ignore[no-untyped-call]
        return joined


class _Joined(Function):
    @staticmethod
    def forward(context: Any, copies: tuple[Tensor, ...], x: Tensor, *originals: Tensor) -> Tensor:
        context.copies = copies
        return x.view_as(x)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Any:
        waiting = [copy.grad for copy in context.copies]
        for copy in context.copies:
            copy.grad = None  # it goes down once, however many passes are joined
        return None, *gradients, *waiting
