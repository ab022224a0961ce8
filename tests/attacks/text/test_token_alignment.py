import itertools
import random

import pytest
import torch

from alum.attacks.text.token_alignment import aligned_ranges, first_order_gains, range_tensor


def test_words_of_one_token_stand_for_each_other():
    assert aligned_ranges([1, 5, 6, 7, 2], [1, 8, 6, 9, 2]) == [(n, n + 1) for n in range(5)]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ([1, 8, 9, 6, 2], [(0, 1), (1, 3), (3, 4), (4, 5)]),  # 5 has become two tokens
        ([1, 5, 6, 8, 2], [(0, 1), (1, 2), (2, 4), (4, 5)]),  # 8 was put in after 6
        ([1, 8, 2], [(0, 1), (1, 2), (1, 2), (2, 3)]),  # 5 and 6 have become one token
        ([1, 5, 2], [(0, 1), (1, 2), (2, 2), (2, 3)]),  # 6 was left out
        ([8, 1, 5, 6, 2], [(0, 2), (2, 3), (3, 4), (4, 5)]),  # before the first
    ],
)
def test_stretches_of_other_lengths_are_spread(changed, expected):
    assert aligned_ranges([1, 5, 6, 2], changed) == expected


def test_every_new_token_stands_for_one_at_least_and_they_keep_their_order():
    rng = random.Random(0)
    for _ in range(300):
        tokens = [1, *(rng.randrange(3, 12) for _ in range(rng.randrange(0, 12))), 2]
        changed = [1, *(rng.randrange(3, 12) for _ in range(rng.randrange(0, 12))), 2]
        ranges = aligned_ranges(tokens, changed)
        assert len(ranges) == len(tokens)
        assert {place for first, last in ranges for place in range(first, last)} == set(range(len(changed)))
        assert all(one[0] <= other[0] and one[1] <= other[1] for one, other in itertools.pairwise(ranges))


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_on_either_side_is_passed_over(side):
    def padded(row, length, value=0):
        fill = [value] * (length - len(row))
        return torch.tensor([[*fill, *row] if side == "left" else [*row, *fill]])

    tokens, changed = [1, 5, 6, 2], [1, 8, 9, 6, 2]
    ranges = range_tensor(padded(tokens, 6), padded([1] * 4, 6), padded(changed, 8), padded([1] * 5, 8))
    offset = 3 if side == "left" else 0
    found = [(first - offset, last - offset) for first, last in zip(*ranges[:, 0].tolist(), strict=True) if first >= 0]
    assert found == aligned_ranges(tokens, changed)
    assert (ranges == -1).sum() == 4


def test_gain_is_the_change_of_a_linear_loss():
    generator = torch.Generator().manual_seed(0)
    gradient, x = torch.randn(2, 1, 4, 3, generator=generator)
    embedded = torch.randn(1, 5, 3, generator=generator)
    ranges = torch.tensor([[[0, 1, 3, -1]], [[1, 3, 3, -1]]])  # itself, two tokens, none; the last is padding
    new = torch.stack((embedded[0, 0], (embedded[0, 1] + embedded[0, 2]) / 2, torch.zeros(3)))
    expected = (gradient[0, :3] * new).sum() - (gradient[0, :3] * x[0, :3]).sum()
    torch.testing.assert_close(first_order_gains(gradient, x, embedded, ranges), expected[None])
