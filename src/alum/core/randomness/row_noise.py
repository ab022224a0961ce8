"""Random numbers that belong to the rows of a batch: the same in whatever process, place or padding a row comes.

A generator draws in the order of a batch, so that a row spread to another process gets other numbers. Here each token
has a generator of its own, SplitMix64 (Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195, figures 16 and 17),
which starts from the seed, from all tokens of the row and from its place among them. Rows of the same tokens, in one
batch too, have the same numbers: what is seen twice is trained on twice.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

_INCREMENT = 0x9E3779B97F4A7C15 - 2**64  # SplitMix64's golden gamma, as a signed number, which integers of torch are
_FIRST_FACTOR, _SECOND_FACTOR = 0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64
_BITS = 23  # of a number between 0 and 1 that, with a half added, fp32 holds exactly


@dataclass(frozen=True)
class RowNoise:
    """Random numbers for tokens ``[rows, length]``, by ``keys`` that follow from their rows and their places in them.

    The same ``seed`` and ``draw`` give the same numbers, another of either gives independent ones. Nothing here makes
    the host wait for the device.
    """

    keys: Tensor
    seed: int
    draw: int = 0

    @classmethod
    def of_tokens(cls, token_ids: Tensor, mask: Tensor, seed: int, num_places: int = 1) -> "RowNoise":
        """Keys of rows by their ``token_ids`` where ``mask`` is True, both ``[rows, length]``; the others do not count.

        With several places in the model each row stands there as often, one after the other (`Injection`).
        """
        mask = mask.bool()
        places = mask.cumsum(-1)
        of_tokens = scrambled(scrambled(places) + token_ids)
        of_rows = torch.where(mask, of_tokens, 0).sum(-1, keepdim=True)
        in_model = torch.arange(len(of_rows), device=mask.device).remainder(num_places).unsqueeze(-1)
        return cls(scrambled(scrambled(of_rows + _INCREMENT * in_model) + places), seed)

    def of_draw(self, draw: int) -> "RowNoise":
        return replace(self, draw=draw)

    def uniform(self, width: int) -> Tensor:
        """Numbers between 0 and 1, neither included, ``[rows, length, width]``."""
        return self._uniform_halves(width).flatten(-2)[..., :width]

    def normal(self, width: int) -> Tensor:
        """Numbers of mean 0 and variance 1, normally distributed, ``[rows, length, width]``, by Box and Muller 1958."""
        of_radius, of_angle = self._uniform_halves(width).unbind(-2)
        radius, angle = of_radius.log_().mul_(-2).sqrt_(), of_angle.mul_(2 * math.pi)
        return torch.cat((radius * angle.cos(), radius * angle.sin()), dim=-1)[..., :width]

    def _uniform_halves(self, width: int) -> Tensor:
        """Two numbers of each integer of a token's generator, ``[rows, length, 2, half the width]``."""
        of_seed = scrambled(scrambled(torch.tensor(self.seed)) + self.draw)
        steps = _INCREMENT * torch.arange(1, (width + 1) // 2 + 1, device=self.keys.device)
        words = _mix_(scrambled(self.keys + of_seed).unsqueeze(-1) + steps)
        high = _shifted(words, 64 - _BITS)
        halves = torch.stack((high, words.bitwise_and_((1 << _BITS) - 1)), dim=-2)
        return halves.float().add_(0.5).mul_(2.0**-_BITS)


RandomSource = Generator | RowNoise | None
"""Where random numbers come from: the rows they are for, a generator, or torch's global one."""


def scrambled(values: Tensor) -> Tensor:
    """Maps integers of 64 bits one to one, so that each bit depends on all of the given ones'."""
    return _mix_(values + _INCREMENT)


def _mix_(values: Tensor) -> Tensor:
    """SplitMix64's output function, in place."""
    values ^= _shifted(values, 30)
    values *= _FIRST_FACTOR
    values ^= _shifted(values, 27)
    values *= _SECOND_FACTOR
    values ^= _shifted(values, 31)
    return values


def _shifted(values: Tensor, bits: int) -> Tensor:
    """Bits moved to the right, zeros following them: torch's own shift of negative integers has ones follow."""
    return (values >> bits).bitwise_and_((1 << (64 - bits)) - 1)
