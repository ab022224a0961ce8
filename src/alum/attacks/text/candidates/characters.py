"""Changes of a word's characters: each returns one new word, or None where the word does not allow the change."""

import random
import string
from collections.abc import Callable

from alum.attacks.text.candidates.keyboard import NEIGHBOURS

CharacterChange = Callable[[str, random.Random], str | None]

# Figures and signs that people read as the letter.
LOOKALIKES = {"a": "@", "b": "8", "e": "3", "g": "9", "i": "1", "l": "1", "o": "0", "s": "5$", "t": "7", "z": "2"}

# Cyrillic letters drawn as the Latin ones in most typefaces (Unicode Technical Standard 39, confusables).
HOMOGLYPHS = dict(
    zip(
        "acdehijlopqswxyABCEHIJKMOPSTX",
        "\u0430\u0441\u0501\u0435\u04bb\u0456\u0458\u04cf\u043e\u0440\u051b\u0455\u051d\u0445\u0443"
        "\u0410\u0412\u0421\u0415\u041d\u0406\u0408\u041a\u041c\u041e\u0420\u0405\u0422\u0425",
        strict=True,
    )
)


def swap_adjacent(word: str, rng: random.Random) -> str | None:
    """Swaps two neighbouring characters that differ."""
    return _swapped(word, rng, 0, len(word))


def swap_inside(word: str, rng: random.Random) -> str | None:
    """Swaps two neighbouring characters that differ, neither of them the first or the last."""
    return _swapped(word, rng, 1, len(word) - 1)


def substitute(word: str, rng: random.Random) -> str | None:
    """Replaces a character by another letter of the alphabet, in the same case."""
    if not word:
        return None
    index = rng.randrange(len(word))
    others = [letter for letter in string.ascii_lowercase if letter != word[index].lower()]
    return _with(word, index, rng.choice(others))


def delete(word: str, rng: random.Random) -> str | None:
    """Deletes a character of a word of two or more."""
    return _without(word, rng, 0, len(word)) if len(word) > 1 else None


def delete_inside(word: str, rng: random.Random) -> str | None:
    """Deletes a character other than the first and the last."""
    return _without(word, rng, 1, len(word) - 1)


def insert(word: str, rng: random.Random) -> str | None:
    """Inserts a letter anywhere; a capital in a word of capitals."""
    index = rng.randint(0, len(word))
    letter = rng.choice(string.ascii_lowercase)
    return word[:index] + (letter.upper() if len(word) > 1 and word.isupper() else letter) + word[index:]


def double(word: str, rng: random.Random) -> str | None:
    """Doubles a letter."""
    letters = [i for i in range(len(word)) if word[i].isalpha()]
    if not letters:
        return None
    index = rng.choice(letters)
    return word[: index + 1] + word[index:]


def any_neighbour_key(word: str, rng: random.Random) -> str | None:
    """Replaces a letter by that of a neighbouring key."""
    return _replaced(word, rng, lambda letter: NEIGHBOURS.get(letter.lower(), ""), 0, len(word))


def insert_space(word: str, rng: random.Random) -> str | None:
    """Inserts a space inside a word."""
    if len(word) < 2:
        return None
    index = rng.randrange(1, len(word))
    return f"{word[:index]} {word[index:]}"


def neighbour_key(word: str, rng: random.Random) -> str | None:
    """Replaces a letter other than the first and the last by that of a neighbouring key."""
    return _replaced(word, rng, lambda letter: NEIGHBOURS.get(letter.lower(), ""), 1, len(word) - 1)


def lookalike_or_neighbour_key(word: str, rng: random.Random) -> str | None:
    """Replaces a letter by a digit or sign that looks like it, or by the letter of a neighbouring key."""

    def instead(letter: str) -> str:
        return LOOKALIKES.get(letter.lower(), "") + NEIGHBOURS.get(letter.lower(), "")

    return _replaced(word, rng, instead, 0, len(word))


def homoglyph(word: str, rng: random.Random) -> str | None:
    """Replaces a Latin letter by a Cyrillic one that looks the same."""
    return _replaced(word, rng, lambda letter: HOMOGLYPHS.get(letter, ""), 0, len(word))


def _swapped(word: str, rng: random.Random, start: int, end: int) -> str | None:
    pairs = [i for i in range(start, end - 1) if word[i] != word[i + 1]]
    if not pairs:
        return None
    index = rng.choice(pairs)
    return word[:index] + word[index + 1] + word[index] + word[index + 2 :]


def _without(word: str, rng: random.Random, start: int, end: int) -> str | None:
    if start >= end:
        return None
    index = rng.randrange(start, end)
    return word[:index] + word[index + 1 :]


def _replaced(word: str, rng: random.Random, instead: Callable[[str], str], start: int, end: int) -> str | None:
    indices = [i for i in range(start, end) if instead(word[i])]
    if not indices:
        return None
    index = rng.choice(indices)
    return _with(word, index, rng.choice(instead(word[index])))


def _with(word: str, index: int, character: str) -> str:
    character = character.upper() if word[index].isupper() else character
    return word[:index] + character + word[index + 1 :]
