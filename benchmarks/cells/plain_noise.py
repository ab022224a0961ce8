"""Noise of rows written out token by token, in whole numbers of Python: a SplitMix64 for each token of each row."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

_ALL_BITS = 2**64 - 1
_INCREMENT = 0x9E3779B97F4A7C15


def _mixed(state: int) -> int:
    """First integer of the generator that stands at ``state``."""
    z = (state + _INCREMENT) & _ALL_BITS
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _ALL_BITS
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _ALL_BITS
    return z ^ (z >> 31)


def uniform_noise(ids: Tensor, mask: Tensor, width: int, seed: int) -> Tensor:
    """Between -√3 and √3, ``[rows, length, width]``, zero where ``mask`` ``[rows, length]`` is."""
    noise = torch.zeros(*ids.shape, width)
    for row, column, (first, second) in _numbers_of_tokens(ids, mask, width, seed):
        noise[row, column] = 3**0.5 * (2 * torch.tensor(first + second)[:width] - 1)
    return noise


def normal_noise(ids: Tensor, mask: Tensor, width: int, seed: int) -> Tensor:
    """Of mean 0 and variance 1, ``[rows, length, width]``, zero where ``mask`` ``[rows, length]`` is."""
    noise = torch.zeros(*ids.shape, width)
    for row, column, (first, second) in _numbers_of_tokens(ids, mask, width, seed):
        radii = [math.sqrt(-2 * math.log(u)) for u in first]
        angles = [2 * math.pi * u for u in second]
        pairs = list(zip(radii, angles, strict=True))
        values = [r * math.cos(a) for r, a in pairs] + [r * math.sin(a) for r, a in pairs]
        noise[row, column] = torch.tensor(values)[:width]
    return noise


def _numbers_of_tokens(
    ids: Tensor, mask: Tensor, width: int, seed: int
) -> Iterator[tuple[int, int, tuple[list[float], list[float]]]]:
    """Each token's row and column, and its numbers between 0 and 1: the high bits of its integers, and the low ones."""
    of_seed = _mixed(_mixed(seed))  # of the first draw, number 0
    for row, (words, here) in enumerate(zip(ids.tolist(), mask.bool().tolist(), strict=True)):
        columns = [column for column, is_token in enumerate(here) if is_token]
        of_row = sum(_mixed(_mixed(place) + words[column]) for place, column in enumerate(columns, 1))
        for place, column in enumerate(columns, 1):
            state = _mixed(_mixed(_mixed(of_row) + place) + of_seed)
            integers = [_mixed(state + step * _INCREMENT) for step in range((width + 1) // 2)]
            high = [((integer >> 41) + 0.5) / 2**23 for integer in integers]
            low = [(integer % 2**23 + 0.5) / 2**23 for integer in integers]
            yield row, column, (high, low)
