"""Noise of rows, against SplitMix64 in whole numbers of Python, and the distributions that it is to have."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy import stats

from alum.core.randomness.row_noise import RowNoise, scrambled

PAD, WIDTH = 0, 48
IDS = torch.randint(1, 30_000, (40, 25), generator=torch.Generator().manual_seed(0))
EVERYWHERE = torch.ones_like(IDS)


def noise(ids=IDS, mask=None, seed=7, **settings):
    return RowNoise.of_tokens(ids, torch.ones_like(ids) if mask is None else mask, seed, **settings)


# -- the numbers -------------------------------------------------------------------------------------------------------

ALL_BITS = 2**64 - 1


def next_of_splitmix(state):
    """The generator of java.util.SplittableRandom, as its published source has it."""
    z = state = (state + 0x9E3779B97F4A7C15) & ALL_BITS
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & ALL_BITS
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & ALL_BITS
    return state, z ^ (z >> 31)


def hashed(value):
    return next_of_splitmix(value & ALL_BITS)[1]


def test_integers_are_those_of_splitmix64_from_a_published_seed():
    """The first outputs for the seed 1234567, as implementations of other languages give them (Rosetta Code)."""
    state, expected = 1234567, [6457827717110365317, 3203168211198807973, 9817491932198370423]
    for value in expected:
        assert int(scrambled(torch.tensor(state if state < 2**63 else state - 2**64))) % 2**64 == value
        state, found = next_of_splitmix(state)
        assert found == value


def written_out(words, place, seed, draw, in_model=0):
    """The first two words of the generator of a token, for the tokens of a row without padding."""
    row = sum(hashed(hashed(index) + word) for index, word in enumerate(words, 1))
    token = hashed(hashed(row + 0x9E3779B97F4A7C15 * in_model) + place)
    state, found = hashed(token + hashed(hashed(seed) + draw)), []
    for _ in range(2):
        state, value = next_of_splitmix(state)
        found.append(value)
    return found


@pytest.mark.parametrize(("seed", "draw", "num_places"), [(0, 0, 1), (7, 3, 1), (2**63 - 1, 1, 2)])
def test_a_token_has_a_generator_of_its_own(seed, draw, num_places):
    ids = torch.tensor([[PAD, 5, 29_999, 7], [8, 9, PAD, PAD]])
    mask = (ids != PAD).repeat_interleave(num_places, 0)
    found = RowNoise.of_tokens(ids.repeat_interleave(num_places, 0), mask, seed, num_places).of_draw(draw)
    uniform, normal = found.uniform(4).double(), found.normal(4).double()
    for number, row in enumerate(([5, 29_999, 7], [8, 9])):
        for place in range(num_places):
            stands = mask[number * num_places].nonzero().flatten().tolist()
            for index, column in enumerate(stands, 1):
                words = written_out(row, index, seed, draw, place)
                high = [((word >> 41) + 0.5) / 2**23 for word in words]
                low = [(word % 2**23 + 0.5) / 2**23 for word in words]
                at = number * num_places + place, column
                torch.testing.assert_close(uniform[at], torch.tensor([*high, *low]).double(), rtol=0, atol=1e-7)
                radii, angles = np.sqrt(-2 * np.log(high)), 2 * math.pi * np.array(low)
                expected = np.concatenate((radii * np.cos(angles), radii * np.sin(angles)))
                torch.testing.assert_close(normal[at], torch.tensor(expected), rtol=1e-5, atol=1e-5)


# -- distributions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "distribution"), [("normal", "norm"), ("uniform", "uniform")])
def test_numbers_have_their_distribution(kind, distribution):
    found = getattr(noise(), kind)(WIDTH).double().flatten().numpy()
    assert stats.kstest(found, distribution).pvalue > 0.01
    exact, count = getattr(stats, distribution), len(found)
    for power in (1, 2, 3, 4):
        expected = exact.moment(power)
        deviation = math.sqrt((exact.moment(2 * power) - expected**2) / count)
        assert abs((found**power).mean() - expected) < 4 * deviation


def test_uniform_numbers_lie_between_their_ends():
    found = noise(torch.arange(40_000).view(400, 100)).uniform(50)
    assert 0 < found.min() < 1e-5
    assert 1 - 1e-5 < found.max() < 1


@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_rows_places_coordinates_draws_and_seeds_are_not_correlated(kind):
    """Ids, seeds and places that follow each other, as they do in use."""
    ids = torch.arange(1, 41).view(40, 1).repeat(1, 25)
    drawn = {}
    for seed, draw in ((7, 0), (8, 0), (7, 1), (8, 1)):
        drawn[seed, draw] = getattr(noise(ids, seed=seed).of_draw(draw), kind)(WIDTH).double()
    for first, second in combinations(drawn, 2):
        of_pair = stats.pearsonr(drawn[first].flatten(), drawn[second].flatten())
        assert of_pair.pvalue > 0.001
    found = drawn[7, 0]
    for axis in range(3):
        for shift in (1, 2, found.shape[axis] // 2):  # both numbers of an integer stand half the width apart
            along = found.movedim(axis, 0)
            assert stats.pearsonr(along[shift:].flatten(), along[:-shift].flatten()).pvalue > 0.001
            assert stats.pearsonr(along[shift:].square().flatten(), along[:-shift].square().flatten()).pvalue > 0.001


# -- whose they are ----------------------------------------------------------------------------------------------------


def same(found, expected):
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_a_row_has_its_noise_in_any_order_and_part_of_a_batch():
    whole = noise().normal(WIDTH)
    order = torch.randperm(len(IDS), generator=torch.Generator().manual_seed(1))
    same(noise(IDS[order]).normal(WIDTH), whole[order])
    same(torch.cat([noise(part).normal(WIDTH) for part in IDS.split(7)]), whole)


@pytest.mark.parametrize("side", ["left", "right", "both"])
def test_a_row_has_its_noise_however_far_it_is_padded(side):
    before, behind = {"left": (3, 0), "right": (0, 6), "both": (2, 4)}[side]
    padded, mask = (torch.nn.functional.pad(values, (before, behind)) for values in (IDS, EVERYWHERE))
    tokens = slice(before, before + IDS.shape[1])
    same(noise(padded, mask).normal(WIDTH)[:, tokens], noise().normal(WIDTH))
    same(noise(padded + 9 * (1 - mask), mask).normal(WIDTH)[:, tokens], noise().normal(WIDTH))


def test_other_words_another_order_and_fewer_words_are_other_rows():
    rows = {(5, 6, 7, 8), (5, 6, 8, 7), (6, 5, 7, 8), (5, 6, 7, 9), (4, 6, 7, 8), (5, 6, 7, 0)}
    found = noise(torch.tensor(sorted(rows)), torch.tensor(sorted(rows)) != PAD).normal(WIDTH)
    for first, second in combinations(found, 2):
        assert ((first - second).abs().amax(-1) > 0.1).sum() >= 3  # of four tokens, be they the same ones


def test_rows_of_the_same_tokens_share_their_noise():
    found = noise(IDS[[3, 5, 3]]).normal(WIDTH)
    assert torch.equal(found[0], found[2])
    assert not torch.equal(found[0], found[1])


def test_several_places_in_the_model_have_noise_of_their_own():
    twice = noise(IDS.repeat_interleave(2, 0), num_places=2).normal(WIDTH)
    same(twice[::2], noise().normal(WIDTH))
    assert stats.pearsonr(twice[::2].flatten(), twice[1::2].flatten()).pvalue > 0.001


def test_an_odd_width_is_the_beginning_of_an_even_one_of_its_own_kind():
    assert noise().normal(5).shape == noise().uniform(5).shape == (*IDS.shape, 5)
    same(noise().uniform(5), noise().uniform(6)[..., :5])


def test_nothing_waits_for_the_device():
    # Of the meta device tensors have no values: to wait for one is an error.
    found = RowNoise.of_tokens(IDS.to("meta"), EVERYWHERE.to("meta"), 7)
    assert found.normal(WIDTH).device == found.uniform(WIDTH).device == torch.device("meta")


def test_drawing_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    noise().normal(WIDTH)
    assert torch.equal(torch.get_rng_state(), before)
