import functools
import random

import pytest

from alum.attacks.text.searches.state import levenshtein


@functools.cache
def by_definition(first, second):
    """The recursion that defines the distance."""
    if not first or not second:
        return len(first) + len(second)
    return min(
        by_definition(first[1:], second) + 1,
        by_definition(first, second[1:]) + 1,
        by_definition(first[1:], second[1:]) + (first[0] != second[0]),
    )


@pytest.mark.parametrize("seed", range(20))
def test_the_distance_is_that_of_the_definition(seed):
    rng = random.Random(seed)
    first, second = ("".join(rng.choices("abc", k=rng.randrange(7))) for _ in range(2))
    assert levenshtein(first, second) == by_definition(first, second)


def test_a_change_of_a_long_word_is_told_at_once():
    """A table of all pairs of letters would have 4·10¹⁰ cells."""
    long = "ab" * 100_000
    for changed in (long[:-1], long[:70_000] + long[70_001:], f"{long[:9]}x{long[9:]}", f"{long[:7]}x{long[8:]}"):
        assert levenshtein(long, changed) == 1


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("ab", "ba", 2), ("word", "wo rd", 1), ("cat", "cat", 0)],
)
def test_known_distances(first, second, distance):
    assert levenshtein(first, second) == levenshtein(second, first) == distance
