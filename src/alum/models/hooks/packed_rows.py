"""Sequences that follow each other in a row without padding, set apart for what belongs to a sequence: δ's radius."""

from dataclasses import dataclass

import torch
from torch import Tensor

from alum.models.inputs import Inputs


@dataclass(frozen=True)
class PackedRows:
    """Places of the tokens of ``[rows, length]`` in ``[sequences, longest]``, and back.

    >>> packed = PackedRows.of_positions(torch.tensor([[0, 1, 2, 0, 1]]))
    >>> packed.apart(torch.tensor([[5, 6, 7, 8, 9]]))
    tensor([[5, 6, 7],
            [8, 9, 0]])
    >>> packed.together(packed.apart(torch.tensor([[5, 6, 7, 8, 9]])))
    tensor([[5, 6, 7, 8, 9]])
    """

    mask: Tensor
    """``[sequences, longest]``, True where a token is."""
    _tokens: Tensor
    """``[sequences, longest]``: the flat position of a token in the rows, 0 where none is."""
    _places: Tensor
    """``[rows, length]``: the flat position of a token in the sequences set apart."""

    @classmethod
    def of_positions(cls, position_ids: Tensor) -> "PackedRows":
        """Rows in which every position 0 begins a sequence."""
        begins = (position_ids == 0).index_fill(1, torch.zeros(1, dtype=torch.long, device=position_ids.device), True)
        begins = begins.flatten()
        starts = begins.nonzero().squeeze(-1)
        number = begins.cumsum(0) - 1
        offset = torch.arange(len(begins), device=begins.device) - starts[number]
        shape = (len(starts), int(offset.max()) + 1)
        mask = torch.zeros(shape, dtype=torch.bool, device=begins.device)
        mask[number, offset] = True
        tokens = torch.zeros(shape, dtype=torch.long, device=begins.device)
        tokens[number, offset] = torch.arange(len(begins), device=begins.device)
        return cls(mask, tokens, (number * shape[1] + offset).view(position_ids.shape))

    def apart(self, values: Tensor) -> Tensor:
        """``[rows, length, ...]`` to ``[sequences, longest, ...]``, 0 behind the end of a sequence."""
        mask = self.mask.view(*self.mask.shape, *[1] * (values.dim() - 2))
        return values.flatten(0, 1)[self._tokens].masked_fill(~mask, 0)

    def together(self, values: Tensor) -> Tensor:
        """``[sequences, longest, ...]`` to ``[rows, length, ...]``."""
        return values.flatten(0, 1)[self._places]


def packed_rows(inputs: Inputs) -> PackedRows | None:
    """Finds the sequences of rows without padding in which positions begin anew; None where a row is one sequence."""
    position_ids: Tensor | None = inputs.get("position_ids")
    if position_ids is None or position_ids.dim() != 2 or inputs.get("attention_mask") is not None:
        return None
    return PackedRows.of_positions(position_ids) if (position_ids[:, 1:] == 0).any() else None
