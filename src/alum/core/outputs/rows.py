"""Rows of logits, worked on in fp32 some at a time: over a vocabulary all of them are as large as a block's tensors."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

# A processor's cache holds the rows that are worked on; an accelerator wants more of them for each kernel.
_ELEMENTS_AT_A_TIME = {"cpu": 1 << 18}
_MANY_ELEMENTS = 1 << 24

_LARGEST_KEPT = 2.0**14
"""fp16 ends at 2**16 and, below, at 2**-24."""


def some_rows(logits: Tensor) -> Iterator[slice]:
    """Yields slices that make up the rows of logits ``[rows, classes]``."""
    some = max(_ELEMENTS_AT_A_TIME.get(logits.device.type, _MANY_ELEMENTS) // max(logits.shape[-1], 1), 1)
    for start in range(0, len(logits), some):
        yield slice(start, start + some)


def power_of_two(values: Tensor) -> Tensor:
    """Power of two ``[..., 1]`` that brings the largest of values ``[..., count]`` to the order of 1, by division.

    >>> power_of_two(torch.tensor([[5.0, -9.0], [0.0, 3e-7]]))
    tensor([[8.0000e+00],
            [2.3842e-07]])
    """
    largest = values.abs().amax(-1, keepdim=True).clamp_min(2.0**-100)
    return largest.log2().floor().nan_to_num(0.0, 0.0, 0.0).exp2()


class RowGradient(NamedTuple):
    """Gradient in fp32 at rows of logits, kept in the precision of the logits.

    In half precision each row is divided by a power of two of its own, so that what is small there is not lost.
    """

    values: Tensor
    """``[rows, classes]``"""
    scales: Tensor
    """``[rows, 1]`` in fp32"""

    @classmethod
    def at(cls, logits: Tensor) -> "RowGradient":
        """An empty one at logits ``[rows, classes]``."""
        in_half = logits.element_size() < torch.float32.itemsize
        values = torch.empty_like(logits, dtype=logits.dtype if in_half else torch.float32)
        return cls(values, torch.ones((len(logits), 1), dtype=torch.float32, device=logits.device))

    def keep(self, rows: slice, gradient: Tensor) -> None:
        if self.values.dtype != torch.float32:
            self.scales[rows] = power_of_two(gradient) / _LARGEST_KEPT
            gradient = gradient / self.scales[rows]
        self.values[rows] = gradient

    def times(self, factors: Tensor, dtype: torch.dtype) -> Tensor:
        """Multiplies rows by factors ``[rows]`` in fp32; the product takes the precision ``dtype`` only then."""
        product = torch.empty_like(self.values, dtype=dtype)
        factors = factors.unsqueeze(-1) * self.scales
        for rows in some_rows(product):
            product[rows] = self.values[rows] * factors[rows]
        return product
