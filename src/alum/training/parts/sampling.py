"""Sampling of training rows in an order that a resumed run goes on with, on any number of processes."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import LengthGroupedSampler, get_length_grouped_indices


class ResumableLengthGroups(LengthGroupedSampler):
    """Groups rows of similar length, in an order that follows from the seed and the epoch.

    Differs from the Trainer's sampler, which draws from the global random state: in a resumed run that is another one,
    and rows would be left out or taken twice.
    """

    lengths: list[int]

    def __init__(self, sampler: LengthGroupedSampler, seed: int, epoch: Callable[[], int]) -> None:
        super().__init__(sampler.batch_size, lengths=sampler.lengths)
        self._seed = seed
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed + self._epoch())
        return iter(get_length_grouped_indices(self.lengths, self.batch_size, generator=generator))


class ShuffledRows(Sampler[int]):
    """Samples every row once, in an order that follows from the seed and the epoch, in memory that does not grow.

    Differs from PyTorch's sampler, whose list of all rows takes forty bytes for each. The order is a Feistel network of
    keyed hashes over the numbers of the rows (Luby and Rackoff 1988); numbers beyond the last row go through it again
    until they are none (cycle walking, Black and Rogaway 2002, section 3).
    """

    def __init__(self, num_rows: int, seed: int, epoch: Callable[[], int]) -> None:
        self._num_rows = num_rows
        self._seed = seed
        self._epoch = epoch

    def __len__(self) -> int:
        return self._num_rows

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self._seed % 2**64, self._epoch()])
        keys = rng.integers(2**64, size=_NUM_ROUNDS, dtype=np.uint64)
        for start in range(0, self._num_rows, _ROWS_AT_A_TIME):
            rows = np.arange(start, min(start + _ROWS_AT_A_TIME, self._num_rows), dtype=np.uint64)
            yield from _permuted(rows, self._num_rows, keys).tolist()


_NUM_ROUNDS = 6
_ROWS_AT_A_TIME = 1 << 16


def _permuted(rows: NDArray[np.uint64], num_rows: int, keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Places of rows in a random order of ``num_rows``, which is the same for the same keys."""
    half = np.uint64(max(1, ((num_rows - 1).bit_length() + 1) // 2))
    found = _through_rounds(rows, half, keys)
    while (is_beyond := found >= num_rows).any():
        found[is_beyond] = _through_rounds(found[is_beyond], half, keys)
    return found


def _through_rounds(values: NDArray[np.uint64], half: np.uint64, keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = values >> half, values & mask
    for key in keys:
        left, right = right, left ^ (_mixed(right ^ key) & mask)
    together: NDArray[np.uint64] = (left << half) | right
    return together


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hash of 64 bits, the finalizer of SplitMix64 (Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = values ^ (values >> np.uint64(31))
    return mixed
