"""Splitting texts into words and the characters between them, so that joining them gives the text again."""

import dataclasses
import itertools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from alum.core.errors import InputError

# The texts of one example: a sentence, or the two of a pair.
Example = tuple[str, ...]

# Part of a word between letters: apostrophes, hyphens, and the marks that join or part letters in some scripts.
_JOINERS = frozenset("'’-_\u200c\u200d")
_WORD = re.compile("w+(?:jw+)*")


class Place(NamedTuple):
    """Position of a word in an example: the index of the text, and of the word in the text."""

    text: int
    word: int


@dataclass(frozen=True)
class WordedText:
    """A text split into words and the characters between them.

    ``parts`` are what is before the first word, the first word, what is between, the second word, … and the rest.

    A word is a run of letters, marks and digits, also with single apostrophes, hyphens or underscores inside. Scripts
    without spaces are not segmented: each of their runs is one word.

    >>> WordedText.of("Don't stop, (world)!").words
    ("Don't", 'stop', 'world')
    """

    parts: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "WordedText":
        """Splits a text."""
        shape = "".join(map(_class, text))
        bounds = [0, *(bound for match in _WORD.finditer(shape) for bound in match.span()), len(text)]
        return cls(tuple(text[start:end] for start, end in itertools.pairwise(bounds)))

    def __str__(self) -> str:
        return "".join(self.parts)

    @property
    def words(self) -> tuple[str, ...]:
        """All words of the text in their order."""
        return self.parts[1::2]

    def word(self, word: int) -> str:
        """Word by its index."""
        return self.parts[2 * word + 1]

    def replaced(self, word: int, new: str) -> "WordedText":
        """Puts ``new`` in the place of a word."""
        at = 2 * word + 1
        return WordedText((*self.parts[:at], new, *self.parts[at + 1 :]))

    def removed(self, word: int) -> "WordedText":
        """Deletes a word and, where it stood between spaces, one of them."""
        at = 2 * word + 1
        before, after = self.parts[at - 1], self.parts[at + 1]
        if before[-1:].isspace() and after[:1].isspace():
            after = after[1:]
        return WordedText((*self.parts[: at - 1], before + after, *self.parts[at + 2 :]))

    def starts(self) -> list[int]:
        """Number of characters before each word."""
        return list(itertools.accumulate(map(len, self.parts)))[:-1:2]


@dataclass(frozen=True)
class WordedExample:
    """An example whose texts are split into words."""

    texts: tuple[WordedText, ...]

    @classmethod
    def of(cls, example: Example) -> "WordedExample":
        """Splits the texts of an example."""
        return cls(tuple(map(WordedText.of, example)))

    def joined(self) -> Example:
        """Joins words and what is between them to texts again."""
        return tuple(map(str, self.texts))

    def word(self, place: Place) -> str:
        """Word at a place."""
        return self.texts[place.text].word(place.word)

    def replaced(self, place: Place, new: str) -> "WordedExample":
        """Puts ``new`` in the place of a word."""
        return self._with_text(place.text, self.texts[place.text].replaced(place.word, new))

    def removed(self, place: Place) -> "WordedExample":
        """Deletes a word as `WordedText.removed` does."""
        return self._with_text(place.text, self.texts[place.text].removed(place.word))

    def places(self, texts: Sequence[int]) -> list[Place]:
        """Places of all words in some of the texts, which are numbered from 0 or, with -1 for the last, from the end.

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
    """Gives the new word the capitals of the old one: all, the first, or none.

    >>> in_case_of("Great", "good"), in_case_of("GREAT", "good"), in_case_of("great", "British")
    ('Good', 'GOOD', 'British')
    """
    if len(old) > 1 and old.isupper():
        return new.upper()
    return new[:1].upper() + new[1:] if old[:1].isupper() else new


def _class(character: str) -> str:
    """Class of a character in the pattern `_WORD`: w in words, j joins parts of a word, else a space."""
    if character in _JOINERS:
        return "j"
    return "w" if unicodedata.category(character)[0] in "LMN" else " "
