import random
import string
import unicodedata

import pytest

from alum.attacks.text.candidates.characters import (
    HOMOGLYPHS,
    LOOKALIKES,
    delete,
    delete_inside,
    homoglyph,
    insert,
    insert_space,
    lookalike_or_neighbour_key,
    neighbour_key,
    substitute,
    swap_adjacent,
    swap_inside,
)
from alum.attacks.text.candidates.keyboard import NEIGHBOURS
from alum.attacks.text.searches.state import levenshtein

ALL = [
    delete,
    delete_inside,
    homoglyph,
    insert,
    insert_space,
    lookalike_or_neighbour_key,
    neighbour_key,
    substitute,
    swap_adjacent,
    swap_inside,
]


def found(change, word, draws=2000):
    """All that a change makes of a word."""
    return {change(word, random.Random(seed)) for seed in range(draws)}


@pytest.mark.parametrize(
    ("change", "word", "expected"),
    [
        (swap_adjacent, "abcc", {"bacc", "acbc"}),  # not the two that are the same
        (swap_inside, "abcd", {"acbd"}),
        (swap_inside, "abccd", {"acbcd"}),
        (delete, "abc", {"bc", "ac", "ab"}),
        (delete_inside, "abcd", {"acd", "abd"}),
        (insert_space, "abc", {"a bc", "ab c"}),
        (substitute, "a", set(string.ascii_lowercase) - {"a"}),
        (substitute, "A", set(string.ascii_uppercase) - {"A"}),
        (insert, "-", {f"-{x}" for x in string.ascii_lowercase} | {f"{x}-" for x in string.ascii_lowercase}),
        (insert, "AB", {"AB"[:i] + x + "AB"[i:] for i in range(3) for x in string.ascii_uppercase}),
        (neighbour_key, "agx", {f"a{x}x" for x in "fhtyvb"}),
        (neighbour_key, "aGx", {f"a{x}x" for x in "FHTYVB"}),
        (lookalike_or_neighbour_key, "oß", {f"{x}ß" for x in "0ipkl"}),
        (homoglyph, "ap", {"\u0430p", "a\u0440"}),
    ],
)
def test_a_change_makes_all_that_it_can_and_nothing_else(change, word, expected):
    assert found(change, word) == expected


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (swap_adjacent, "a"),
        (swap_adjacent, "aaa"),
        (swap_inside, "abc"),
        (delete, "a"),
        (delete_inside, "ab"),
        (insert_space, "a"),
        (neighbour_key, "ab"),
        (neighbour_key, "a1b"),
        (lookalike_or_neighbour_key, "123"),
        (homoglyph, "ß1"),
    ],
)
def test_a_word_that_does_not_allow_a_change_gets_none(change, word):
    assert found(change, word, draws=20) == {None}


@pytest.mark.parametrize("change", ALL, ids=lambda change: change.__name__)
@pytest.mark.parametrize("word", ["adversarial", "It’s", "שלום", "e\u0301te\u0301", "\udc80", "x", "ǅ", "İi"])
def test_a_change_is_one_edit_or_swaps_two_characters(change, word):
    for new in found(change, word, draws=50) - {None}:
        assert new != word
        assert levenshtein(word, new) == (2 if "swap" in change.__name__ else 1)
        assert "swap" not in change.__name__ or sorted(new) == sorted(word)


@pytest.mark.parametrize("change", ALL, ids=lambda change: change.__name__)
def test_the_same_seed_gives_the_same_change(change):
    assert change("adversarial", random.Random(3)) == change("adversarial", random.Random(3))


def test_homoglyphs_are_cyrillic_letters_of_the_same_case():
    assert len(set(HOMOGLYPHS.values())) == len(HOMOGLYPHS)
    for latin, other in HOMOGLYPHS.items():
        assert unicodedata.name(other).startswith("CYRILLIC")
        assert unicodedata.category(other) == unicodedata.category(latin)


def test_capitals_that_look_alike_are_the_capitals_of_one_another():
    """Of letters alike in both cases; Latin B and H look like Cyrillic letters other than b's and h's."""
    both = [letter for letter in HOMOGLYPHS if letter.islower() and letter.upper() in HOMOGLYPHS and letter not in "h"]
    assert set(both) == set("aceijopsx")
    assert all(HOMOGLYPHS[letter].upper() == HOMOGLYPHS[letter.upper()] for letter in both)


def test_lookalikes_are_no_letters():
    assert not any(sign.isalpha() for signs in LOOKALIKES.values() for sign in signs)
    assert set(LOOKALIKES) <= set(NEIGHBOURS)
