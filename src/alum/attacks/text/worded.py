"""Texts as words and what lies between them, to be put together again exactly."""

import dataclasses
import itertools
import random
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from alum.core.errors import InputError

# The texts of one example: a sentence, or the two of a pair.
Example = tuple[str, ...]

# Part of a word between letters: apostrophes, hyphens, and the marks that join or part letters in some scripts.
_JOINERS = frozenset("'’-_\u200c\u200d")
_WORD = re.compile("w+(?:jw+)*")


class Place(NamedTuple):
    """A word of an example: which text, and which word of it."""

    text: int
    word: int


@dataclass(frozen=True)
class WordedText:
    """A text in ``parts``: what is before the first word, the first word, what is between, the second, … and the rest.

    A word is a run of letters, marks and digits, also with single apostrophes, hyphens or underscores inside. Scripts
    without spaces are not segmented: each of their runs is one word.

    >>> WordedText.of("Don't stop, (world)!").words
    ("Don't", 'stop', 'world')
    """

    parts: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "WordedText":
        shape = "".join(map(_class, text))
        bounds = [0, *(bound for match in _WORD.finditer(shape) for bound in match.span()), len(text)]
        return cls(tuple(text[start:end] for start, end in itertools.pairwise(bounds)))

    def __str__(self) -> str:
        return "".join(self.parts)

    @property
    def words(self) -> tuple[str, ...]:
        return self.parts[1::2]

    def word(self, word: int) -> str:
        return self.parts[2 * word + 1]

    def replaced(self, word: int, new: str) -> "WordedText":
        at = 2 * word + 1
        return WordedText((*self.parts[:at], new, *self.parts[at + 1 :]))

    def removed(self, word: int) -> "WordedText":
        """Without a word and, where it stood between spaces, one of them."""
        at = 2 * word + 1
        before, after = self.parts[at - 1], self.parts[at + 1]
        if before[-1:].isspace() and after[:1].isspace():
            after = after[1:]
        return WordedText((*self.parts[: at - 1], before + after, *self.parts[at + 2 :]))

    def starts(self) -> list[int]:
        """The number of characters before each word."""
        return list(itertools.accumulate(map(len, self.parts)))[:-1:2]


@dataclass(frozen=True)
class WordedExample:
    """All texts of an example as words."""

    texts: tuple[WordedText, ...]

    @classmethod
    def of(cls, example: Example) -> "WordedExample":
        return cls(tuple(map(WordedText.of, example)))

    def joined(self) -> Example:
        return tuple(map(str, self.texts))

    def word(self, place: Place) -> str:
        return self.texts[place.text].word(place.word)

    def replaced(self, place: Place, new: str) -> "WordedExample":
        return self._with_text(place.text, self.texts[place.text].replaced(place.word, new))

    def removed(self, place: Place) -> "WordedExample":
        return self._with_text(place.text, self.texts[place.text].removed(place.word))

    def places(self, texts: Sequence[int]) -> list[Place]:
        """The words of some of the texts, which are numbered from 0 or, with -1 for the last, from the end.

        Raises `InputError` for a text that the example does not have.
        """
        for text in texts:
            if not -len(self.texts) <= text < len(self.texts):
                raise InputError(f"expected an example with a text number {text}, but it has {len(self.texts)}.")
        numbers = sorted({text % len(self.texts) for text in texts})
        return [Place(text, word) for text in numbers for word in range(len(self.texts[text].words))]

    def _with_text(self, index: int, text: WordedText) -> "WordedExample":
        return dataclasses.replace(self, texts=(*self.texts[:index], text, *self.texts[index + 1 :]))


def in_case_of(old: str, new: str) -> str:
    """The new word in capitals, or with one, where the old one is.

    >>> in_case_of("Great", "good"), in_case_of("GREAT", "good"), in_case_of("great", "British")
    ('Good', 'GOOD', 'British')
    """
    if len(old) > 1 and old.isupper():
        return new.upper()
    return new[:1].upper() + new[1:] if old[:1].isupper() else new


def _class(character: str) -> str:
    """The kinds of characters that `_WORD` is about: w in words, j joins words, else a space."""
    if character in _JOINERS:
        return "j"
    return "w" if unicodedata.category(character)[0] in "LMN" else " "


# The words that may stand in one place of an example.
Candidates = Callable[[WordedExample, Place, random.Random], Sequence[str]]
