"""Candidates that are near a word in vectors of words, such as those that were counter-fitted to synonyms.

Mrkšić et al. 2016, arXiv:1603.00892; Jin et al. 2020, arXiv:1907.11932.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from alum.attacks.text.candidates.protected_words import is_protected
from alum.attacks.text.candidates.stop_words import is_stop_word
from alum.attacks.text.protocol import Candidates
from alum.attacks.text.worded import Place, WordedExample, in_case_of
from alum.core.errors import InputError

# The parts of speech that a word may be, empty where it is not known.
PartsOfSpeech = Callable[[str], frozenset[str]]


class NearWords(Protocol):
    """Looks up words that mean about the same as one, by vectors of words."""

    def near(self, word: str, most: int, min_cosine: float) -> Sequence[str]:
        """At most ``most`` other words at a cosine of ``min_cosine`` or more, the nearest first; in small letters."""


@dataclass(frozen=True)
class NearbyCandidates:
    """Chooses candidates near a word: the ``most`` nearest words whose cosine is ``min_cosine`` or more.

    Where ``parts_of_speech`` are given, a candidate must be able to be one that the word may be; of a word that they do
    not know, it must be unknown too. With ``nouns_are_verbs`` these two are the same. Stop words, negations and
    numbers are left out.
    """

    vectors: NearWords
    most: int
    min_cosine: float
    parts_of_speech: PartsOfSpeech | None = None
    nouns_are_verbs: bool = False

    def __call__(self, word: str) -> list[str]:
        """Words that may stand for a word, in small letters."""
        own = self._parts(word)
        return [
            new
            for new in self.vectors.near(word, self.most, self.min_cosine)
            if new.isalpha()
            and not is_stop_word(new)
            and not is_protected(new)
            and (own is None or _agree(own, self._parts(new) or frozenset()))
        ]

    def candidates(self) -> Candidates:
        """Candidates in the case of the old word."""

        def candidates(example: WordedExample, place: Place, rng: random.Random) -> list[str]:
            old = example.word(place)
            return [in_case_of(old, new) for new in self(old)]

        return candidates

    def _parts(self, word: str) -> frozenset[str] | None:
        if self.parts_of_speech is None:
            return None
        parts = self.parts_of_speech(word)
        return frozenset("noun" if self.nouns_are_verbs and part == "verb" else part for part in parts)


def _agree(some: frozenset[str], others: frozenset[str]) -> bool:
    return bool(some & others) or not (some or others)


@dataclass(frozen=True, eq=False)
class WordVectors:
    """Vectors of words, read from a text file with a word and its numbers in each line.

    Words may hold spaces, as some of GloVe's do, but not the first one, by whose line the numbers are counted.

    A first line of two numbers, as word2vec writes it, is passed over, and of words that come again, in other case too,
    the first counts. Raises `InputError` for a file that is none, with the line.
    """

    file: Path
    _near: dict[tuple[str, int, float], tuple[str, ...]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.file.is_file():
            raise InputError(
                f"no file at {self.file}: expected vectors of words as text, a word and its numbers in each line, as "
                "counter-fitted-vectors.txt and GloVe have them."
            )
        _ = self._numbers

    def near(self, word: str, most: int, min_cosine: float) -> tuple[str, ...]:
        """At most ``most`` other words at a cosine of ``min_cosine`` or more, the nearest first; in small letters."""
        key = (word.casefold(), most, min_cosine)
        if key not in self._near:
            self._near[key] = self._found(*key)
        return self._near[key]

    def _found(self, word: str, most: int, min_cosine: float) -> tuple[str, ...]:
        numbers, vectors = self._numbers, self._vectors
        if word not in numbers:
            return ()
        own = numbers[word]
        cosines = vectors @ vectors[own]
        cosines[own] = -np.inf
        order = np.argsort(-cosines, kind="stable")[:most]
        return tuple(self._words[number] for number in order if cosines[number] >= min_cosine)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self._words)}

    @property
    def _words(self) -> list[str]:
        return self._read[0]

    @property
    def _vectors(self) -> NDArray[np.float32]:
        return self._read[1]

    @cached_property
    def _read(self) -> tuple[list[str], NDArray[np.float32]]:
        words: dict[str, NDArray[np.float32]] = {}
        size = None
        with self.file.open(encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, 1):
                word, *values = line.rstrip().rsplit(" ", -1 if size is None else size)
                if not line.strip() or (number == 1 and len(values) == 1):
                    continue
                try:
                    vector = np.array(values, dtype=np.float32)
                except ValueError:
                    vector = np.empty(0, dtype=np.float32)
                size = len(vector) if size is None else size
                if len(vector) != size or not size or not np.isfinite(vector).all() or _ends_in_a_number(word):
                    raise InputError(
                        f"{self.file}, line {number}: expected a word and {size or 'its'} numbers, not {line[:40]!r}."
                    )
                words.setdefault(word.casefold(), vector)
        if not words:
            raise InputError(f"{self.file} is empty: expected a word and its numbers in each line.")
        vectors = np.stack(list(words.values()))
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return list(words), (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def _ends_in_a_number(word: str) -> bool:
    """Whether a word with spaces has a number last, which is one too many for a vector."""
    _, space, last = word.rpartition(" ")
    try:
        return bool(space) and np.isfinite(float(last))
    except ValueError:
        return False
