"""Sampling of training rows in an order that a resumed run goes on with."""

from collections.abc import Callable, Iterator

import torch
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
