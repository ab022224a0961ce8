"""Rows whose tokens stand otherwise for δ: sequences that share a row set apart, rows that begin alike put together."""

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

    @classmethod
    def of_alike_beginnings(cls, mask: Tensor, num_alike: Tensor, longest: int) -> "PackedRows":
        """Groups of rows that begin alike, from masks ``[groups, rows, length]``: each group is a sequence.

        It has the ``num_alike`` ``[groups]`` first tokens of its rows once, and then the rest of each row, ``longest``
        places at most. A δ of such sequences moves what is alike in all rows by the same.

        >>> packed = PackedRows.of_alike_beginnings(torch.tensor([[[1, 1, 1], [1, 1, 0]]]), torch.tensor([2]), 3)
        >>> packed.apart(torch.tensor([[5, 6, 7], [5, 6, 0]])), packed.together(torch.tensor([[1, 2, 3]]))
        (tensor([[5, 6, 7]]), tensor([[1, 2, 3],
                [1, 2, 2]]))
        """
        mask, (num_groups, num_rows, length) = mask.bool(), mask.shape
        begin = num_alike[:, None, None]
        own = mask.sum(-1, keepdim=True) - begin
        places = torch.arange(length, device=mask.device).expand(mask.shape)
        # What is padding is read from a row's last token, and never goes back.
        places = places.minimum(mask.sum(-1, keepdim=True) - 1)
        places = torch.where(places < begin, places, places + own.cumsum(1) - own)
        places = places + longest * torch.arange(num_groups, device=mask.device)[:, None, None]
        is_first = torch.arange(num_rows, device=mask.device)[None, :, None] == 0
        kept = mask & (is_first | (torch.arange(length, device=mask.device) >= begin))
        there = torch.zeros((num_groups, longest), dtype=torch.bool, device=mask.device)
        tokens = torch.zeros_like(there, dtype=torch.long)
        there.view(-1)[places[kept]] = True
        tokens.view(-1)[places[kept]] = kept.flatten().nonzero().squeeze(-1)
        return cls(there, tokens, places.flatten(0, 1))

    def apart(self, values: Tensor) -> Tensor:
        """``[rows, length, ...]`` to ``[sequences, longest, ...]``, 0 behind the end of a sequence."""
        mask = self.mask.view(*self.mask.shape, *[1] * (values.dim() - 2))
        return values.flatten(0, 1)[self._tokens].masked_fill(~mask, 0)

    def together(self, values: Tensor) -> Tensor:
        """``[sequences, longest, ...]`` to ``[rows, length, ...]``."""
        return values.flatten(0, 1)[self._places]


def token_ids_of(inputs: Inputs, packed: PackedRows | None) -> Tensor | None:
    """Token ids of the sequences, ``[sequences, length]``; None where the inputs are none, but vectors."""
    ids: Tensor | None = inputs.get("input_ids")
    if ids is None:
        return None
    return ids.flatten(0, -2) if packed is None else packed.apart(ids)


def packed_rows(inputs: Inputs) -> PackedRows | None:
    """Finds the sequences of rows without padding in which positions begin anew; None where a row is one sequence."""
    position_ids: Tensor | None = inputs.get("position_ids")
    if position_ids is None or position_ids.dim() != 2 or inputs.get("attention_mask") is not None:
        return None
    return PackedRows.of_positions(position_ids) if (position_ids[:, 1:] == 0).any() else None
