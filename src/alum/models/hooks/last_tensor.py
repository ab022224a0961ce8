"""Functions that remember what they made of the last tensor: passes of a step ask for the same again and again."""

import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

Made = TypeVar("Made")


class OfLastTensor(Generic[Made]):
    """Function of a tensor that remembers what it made of the last one, as long as nothing was written to that.

    Where an answer waits for the device, as the number of True values does, a step then waits once. Nothing is
    remembered in inference mode: what is made there cannot be part of a graph later.

    >>> rows = OfLastTensor(lambda mask: mask.nonzero())
    >>> mask = torch.tensor([True, False])
    >>> rows(mask) is rows(mask)
    True
    """

    def __init__(self, make: Callable[[Tensor], Made]) -> None:
        self._make = make
        self._last: tuple[weakref.ref[Tensor], int, Made] | None = None

    def __reduce__(self) -> tuple[type["OfLastTensor[Made]"], tuple[Callable[[Tensor], Made]]]:
        return type(self), (self._make,)  # a copy has seen nothing

    def __call__(self, tensor: Tensor) -> Made:
        if torch.compiler.is_compiling() or torch.is_inference_mode_enabled() or tensor.is_inference():
            return self._make(tensor)
        last = self._last
        if last is not None and last[0]() is tensor and last[1] == tensor._version:
            return last[2]
        made = self._make(tensor)
        self._last = (weakref.ref(tensor), tensor._version, made)
        return made
