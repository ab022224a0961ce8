"""Texts as words and what lies between them, to be put together again exactly."""

import dataclasses
import re
import unicodedata
from collections.abc import Iterator, Sequence
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
    """The words of a text; gap i comes before word i, and the last one after all words.

    A word is a run of letters, marks and digits, also with a single apostrophe, hyphen or underscore inside. Scripts
    without spaces are not segmented: each of their runs is one word.

    >>> WordedText.of("Don't stop, (world)!").words
    ("Don't", 'stop', 'world')
    """

    words: tuple[str, ...]
    gaps: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "WordedText":
        shape = "".join(map(_class, text))
        spans = [match.span() for match in _WORD.finditer(shape)]
        starts, ends = [start for start, _ in spans], [end for _, end in spans]
        words = tuple(text[start:end] for start, end in spans)
        return cls(words, tuple(text[a:b] for a, b in zip([0, *ends], [*starts, len(text)], strict=True)))

    def __str__(self) -> str:
        return "".join([part for pair in zip(self.gaps, self.words, strict=False) for part in pair] + [self.gaps[-1]])

    def replaced(self, word: int, new: str) -> "WordedText":
        return WordedText((*self.words[:word], new, *self.words[word + 1 :]), self.gaps)

    def removed(self, word: int) -> "WordedText":
        """Without a word and, where it stood between spaces, one of them."""
        before, after = self.gaps[word : word + 2]
        if before[-1:].isspace() and after[:1].isspace():
            after = after[1:]
        gaps = (*self.gaps[:word], before + after, *self.gaps[word + 2 :])
        return WordedText((*self.words[:word], *self.words[word + 1 :]), gaps)

    def starts(self) -> Iterator[int]:
        """The number of characters before each word."""
        position = 0
        for gap, word in zip(self.gaps, self.words, strict=False):
            yield position + len(gap)
            position += len(gap) + len(word)


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
        return self.texts[place.text].words[place.word]

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


def _class(character: str) -> str:
    """The kinds of characters that `_WORD` is about: w in words, j joins words, else a space."""
    if character in _JOINERS:
        return "j"
    return "w" if unicodedata.category(character)[0] in "LMN" else " "
