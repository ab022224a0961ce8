"""Tokens of a changed text beside those of the text as it was, and by how much they raise a loss to first order."""

from collections.abc import Sequence
from difflib import SequenceMatcher

import torch
from torch import Tensor


def aligned_ranges(tokens: Sequence[int], changed: Sequence[int]) -> list[tuple[int, int]]:
    """Finds for each token of a text the range of those of the changed text that stand in its place.

    Equal stretches stand for themselves. Between them a stretch is spread evenly over the one that it replaces: each
    token has its share of a longer one, and shares tokens of a shorter one with its neighbours. Tokens that are put in
    belong to the one before, and one that is left out has an empty range.

    >>> aligned_ranges([1, 20, 3, 4], [1, 21, 22, 3, 4])
    [(0, 1), (1, 3), (3, 4), (4, 5)]
    """
    ranges: list[tuple[int, int]] = []
    for kind, start, end, other_start, other_end in SequenceMatcher(None, tokens, changed, False).get_opcodes():
        size, other_size = end - start, other_end - other_start
        if kind == "insert" and ranges:
            ranges[-1] = (ranges[-1][0], other_end)
        for index in range(size):
            first = other_start + index * other_size // size
            last = other_start + (index + 1) * other_size // size
            ranges.append((first, max(last, first + 1) if other_size else last))
    if ranges:  # with what was put in before the first token
        ranges[0] = (0, ranges[0][1])
    return ranges


def range_tensor(inputs: Tensor, mask: Tensor, changed_inputs: Tensor, changed_mask: Tensor) -> Tensor:
    """Ranges of `aligned_ranges` for padded rows: ``[2, rows, length]``, first and last + 1, -1 at padding.

    All four are ``[rows, length]``, on the CPU; the ranges are places in the rows of ``changed_inputs``.
    """
    ranges = torch.full((2, *inputs.shape), -1)
    for row, (ids, kept, changed, changed_kept) in enumerate(
        zip(inputs, mask.bool(), changed_inputs, changed_mask.bool(), strict=True)
    ):
        places, changed_places = kept.nonzero().flatten(), changed_kept.nonzero().flatten()
        found = aligned_ranges(ids[places].tolist(), changed[changed_places].tolist())
        offset = int(changed_places[0]) if len(changed_places) else 0  # padding is on one side
        ranges[:, row, places] = torch.tensor(found, dtype=torch.long).view(-1, 2).T + offset
    return ranges


def first_order_gains(gradient: Tensor, x: Tensor, embedded: Tensor, ranges: Tensor) -> Tensor:
    """First-order change of a loss where each x is replaced by the mean of the embeddings in its range, ``[rows]``.

    ``gradient`` and ``x`` are ``[rows, length, hidden]``, ``embedded`` ``[rows, changed_length, hidden]``, ``ranges``
    ``[2, rows, length]``. It is Σᵢ gᵢ·(ēᵢ - xᵢ), which is that of HotFlip (Ebrahimi et al. 2018, arXiv:1712.06751)
    where a text has as many tokens after the changes. An empty range counts as zero, and padding not at all.
    """
    first, last = ranges.unsqueeze(-1)
    places = torch.arange(embedded.shape[1], device=embedded.device)
    weights = ((places >= first) & (places < last)).float()
    weights = weights / weights.sum(-1, keepdim=True).clamp_min(1)  # [rows, length, changed_length]
    difference = torch.where(first >= 0, weights @ embedded.float() - x.float(), 0.0)
    return (gradient.float() * difference).sum((-2, -1))
