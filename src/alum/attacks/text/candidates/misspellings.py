"""Misspellings that people have made of words, from lists.

Belinkov & Bisk 2018, arXiv:1711.02173, natural noise.
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from alum.attacks.text.candidates.protected_words import holds_negation
from alum.attacks.text.protocol import Candidates
from alum.attacks.text.worded import Place, WordedExample, WordedText, in_case_of
from alum.core.errors import InputError

# The misspellings that are known of a word.
Misspelled = Callable[[str], Sequence[str]]


def misspelling_candidates(misspelled: Misspelled) -> Candidates:
    """Candidates from misspellings, in the case of the old word; negations are not put in."""

    def candidates(example: WordedExample, place: Place, rng: random.Random) -> list[str]:
        old = example.word(place)
        return [in_case_of(old, new) for new in misspelled(old) if not holds_negation(new)]

    return candidates


@dataclass(frozen=True, eq=False)
class Misspellings:
    """Looks up misspellings of words in a list, which is read once from its file.

    A line is a word and its misspellings with spaces, as Belinkov and Bisk's list and nlpaug have them, or
    ``misspelling->word``, as Wikipedia's list and codespell have them; of several words after the arrow, the first
    counts. What is not a single word, or has digits or underscores, is left out. Raises `InputError` for a file that is
    none, with the line.
    """

    file: Path

    def __post_init__(self) -> None:
        if not self.file.is_file():
            raise InputError(
                f"no file at {self.file}: expected a list of misspellings, a word and its misspellings with spaces in "
                "each line, or misspelling->word, as Belinkov and Bisk's list and Wikipedia's have them."
            )
        _ = self._by_word

    def __call__(self, word: str) -> tuple[str, ...]:
        """Misspellings of a word, in small letters and in the order of the list; none of a word that it lacks."""
        plain = word.casefold()
        return self._by_word.get(plain) or self._by_word.get(plain.replace("’", "'"), ())

    @cached_property
    def digest(self) -> str:
        """Tells the content of the list from that of others."""
        return hashlib.blake2b(repr(self._by_word).encode(), digest_size=16).hexdigest()

    @cached_property
    def _by_word(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, dict[str, None]] = {}
        with self.file.open(encoding="utf-8-sig", errors="replace") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                word, *wrong = self._of_line(line, number)
                if _is_word(word):
                    kept = (one for one in wrong if one != word and _is_word(one))
                    found.setdefault(word, {}).update(dict.fromkeys(kept))
        if not any(found.values()):
            raise InputError(f"{self.file} has no misspellings: expected a word and its misspellings in each line.")
        return {word: tuple(wrong) for word, wrong in found.items() if wrong}

    def _of_line(self, line: str, number: int) -> list[str]:
        """The word of a line, then its misspellings."""
        wrong, arrow, right = line.casefold().partition("->")
        words = [right.split(",")[0], wrong] if arrow else line.casefold().split()
        if len(words) < 2 or not all(word.strip() for word in words):
            raise InputError(
                f"{self.file}, line {number}: expected a word and its misspellings, or misspelling->word, not "
                f"{line.strip()[:40]!r}."
            )
        return [word.strip() for word in words]


def _is_word(text: str) -> bool:
    """Whether a text is a single word, of letters, their marks, and what joins them but underscores."""
    return WordedText.of(text).words == (text,) and not any(one.isdigit() or one == "_" for one in text)
