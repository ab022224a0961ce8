import math
import random
import string

import pytest

from alum.attacks.text.typing_noise import with_typing_errors

WORDS = " ".join("".join(random.Random(i).choices(string.ascii_lowercase, k=7)) for i in range(3000))


def test_at_rate_zero_nothing_changes():
    assert with_typing_errors("Ünïcode, THE dog!\n", 0.0) == "Ünïcode, THE dog!\n"


def test_the_same_text_and_seed_give_the_same_errors():
    assert with_typing_errors(WORDS, 0.1, seed=1) == with_typing_errors(WORDS, 0.1, seed=1)
    assert with_typing_errors(WORDS, 0.1, seed=1) != with_typing_errors(WORDS, 0.1, seed=2)


def test_only_ascii_letters_are_mistyped():
    text = "1234 ,.;:!? äöü 世界"
    assert with_typing_errors(text, 1.0) == text


def test_each_kind_of_error_is_one_of_the_four():
    """A single letter: its neighbours, nothing, itself twice, or (no letter to swap with) itself."""
    found = {with_typing_errors("g", 1.0, seed) for seed in range(200)}
    assert found == {*"fhtyvb", "", "gg", "g"}


def test_capitals_stay_capitals():
    assert {with_typing_errors("G", 1.0, seed) for seed in range(200)} == {*"FHTYVB", "", "GG", "G"}


def test_two_letters_are_swapped_whole():
    # A swap takes the second letter along, which then gets no error of its own.
    assert "hg" in {with_typing_errors("gh", 1.0, seed) for seed in range(100)}


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_the_share_of_mistyped_letters_is_the_rate(rate):
    """Counted where it shows: each error changes the length by -1 (omitted) or +1 (doubled) with probability 1/4."""
    letters = [with_typing_errors("g", rate, seed) for seed in range(20_000)]
    for shown in ("", "gg"):
        share = sum(letter == shown for letter in letters) / len(letters)
        expected = rate / 4
        assert share == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / len(letters)))


def test_a_long_text_keeps_its_length_on_average():
    # Errors are -1, +1, 0, 0 in length: standard deviation sqrt(rate · letters / 2).
    rate, letters = 0.2, sum(map(str.isalpha, WORDS))
    assert abs(len(with_typing_errors(WORDS, rate)) - len(WORDS)) < 4 * math.sqrt(rate * letters / 2)
