"""Rows whose tokens stand otherwise for δ: sequences that share a row set apart, rows that begin alike put together."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

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
    _is_one_to_one: bool = True
    """Whether each token of the rows is in one sequence, and stands there once."""

    @property
    def num_tokens(self) -> int:
        """Number of places in the rows."""
        return self._places.numel()

    @classmethod
    def of_positions(cls, position_ids: Tensor) -> "PackedRows":
        """Rows in which every position 0 begins a sequence."""
        return cls._of_beginnings(position_ids == 0)

    @classmethod
    def of_documents(cls, documents: Tensor) -> "PackedRows":
        """Rows of documents, from the number ``[rows, length]`` of each token's: a sequence goes on with the number."""
        return cls._of_beginnings(torch.nn.functional.pad(documents[:, 1:] != documents[:, :-1], (1, 0)))

    @classmethod
    def of_mask(cls, mask: Tensor) -> "PackedRows":
        """One row without padding of the tokens of padded sequences, from their mask ``[sequences, length]``.

        >>> packed = PackedRows.of_mask(torch.tensor([[1, 1, 1], [1, 0, 0]]))
        >>> packed.together(torch.tensor([[5, 6, 7], [8, 0, 0]]))
        tensor([[5, 6, 7, 8]])
        """
        mask = mask.bool()
        places = mask.flatten().nonzero().view(1, -1)
        tokens = (mask.flatten().cumsum(0) - 1).view(mask.shape).masked_fill_(~mask, 0)
        return cls(mask, tokens, places)

    @classmethod
    def of_table(cls, table: Tensor, num_rows: int, length: int) -> "PackedRows":
        """Rows ``[num_rows, length]`` from their `table`."""
        mask = table >= 0
        places = torch.zeros(num_rows * length + 1, dtype=torch.long, device=table.device)
        at = torch.arange(table.numel(), device=table.device)
        places[table.flatten()] = at  # what is no token, at -1, goes behind the last one
        return cls(mask, table.clamp_min(0), places[:-1].view(num_rows, length))

    @cached_property
    def table(self) -> Tensor:
        """Flat position of each token in the rows ``[sequences, longest]``, from left to right, and behind them -1."""
        table = self._tokens.masked_fill(~self.mask, -1)
        lengths = self.mask.sum(1)
        if (self.mask[:, 1:] > self.mask[:, :-1]).any():  # padding on the left
            table = table.gather(1, self.mask.long().argsort(dim=1, descending=True, stable=True))
        return table[lengths > 0, : int(lengths.max())]

    @classmethod
    def _of_beginnings(cls, begins: Tensor) -> "PackedRows":
        """Rows in which a sequence begins where ``[rows, length]`` is True, and with each row."""
        shape_of_rows = begins.shape
        begins = begins.index_fill(1, torch.zeros(1, dtype=torch.long, device=begins.device), True).flatten()
        starts = begins.nonzero().squeeze(-1)
        number = begins.cumsum(0) - 1
        offset = torch.arange(len(begins), device=begins.device) - starts[number]
        shape = (len(starts), int(offset.max()) + 1)
        mask = torch.zeros(shape, dtype=torch.bool, device=begins.device)
        mask[number, offset] = True
        tokens = torch.zeros(shape, dtype=torch.long, device=begins.device)
        tokens[number, offset] = torch.arange(len(begins), device=begins.device)
        return cls(mask, tokens, (number * shape[1] + offset).view(shape_of_rows))

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
        return cls(there, tokens, places.flatten(0, 1), _is_one_to_one=False)

    def apart(self, values: Tensor) -> Tensor:
        """``[rows, length, ...]`` to ``[sequences, longest, ...]``, 0 behind the end of a sequence."""
        if self._is_one_to_one:
            return gathered(values, self)
        return values.flatten(0, 1)[self._tokens].masked_fill(~_like(self.mask, values), 0)

    def together(self, values: Tensor) -> Tensor:
        """``[sequences, longest, ...]`` to ``[rows, length, ...]``."""
        if self._is_one_to_one:
            put: Tensor = _Together.apply(values, self)  # type: ignore[no-untyped-call]
            return put
        return values.flatten(0, 1)[self._places]


def gathered(values: Tensor, packed: PackedRows, fill: bool = True) -> Tensor:
    """Sets the tokens of sequences that have each once apart, as `PackedRows.apart` does.

    Without ``fill`` there is any token behind the end of a sequence, whose gradient must be zero.
    """
    apart: Tensor = _Apart.apply(values, packed, fill)  # type: ignore[no-untyped-call]
    return apart


class _Apart(Function):
    """Gathers in the backward pass too: what moves each token once is inverted, where indexing would add up."""

    @staticmethod
    def forward(context: Any, values: Tensor, packed: PackedRows, fill: bool) -> Tensor:
        context.packed = packed
        apart = _selected(values, packed._tokens)
        return apart.masked_fill_(~_like(packed.mask, apart), 0) if fill else apart

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Any:
        return context.packed.together(gradient), None, None


class _Together(Function):
    @staticmethod
    def forward(context: Any, values: Tensor, packed: PackedRows) -> Tensor:
        context.packed = packed
        return _selected(values, packed._places)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Any:
        return context.packed.apart(gradient), None


def _selected(values: Tensor, at: Tensor) -> Tensor:
    return values.flatten(0, 1).index_select(0, at.flatten()).view(*at.shape, *values.shape[2:])


def _like(mask: Tensor, values: Tensor) -> Tensor:
    return mask.view(*mask.shape, *[1] * (values.dim() - 2))


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
