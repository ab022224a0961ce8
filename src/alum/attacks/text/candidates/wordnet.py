"""Synonyms from the files of the WordNet database (Princeton University, wndb(5WN) and morphy(7WN))."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from alum.attacks.text.candidates.protected_words import is_protected
from alum.attacks.text.protocol import Candidates
from alum.attacks.text.worded import Place, WordedExample, in_case_of
from alum.core.errors import InputError

# The words that may mean the same as one, in their base form.
Synonyms = Callable[[str], Sequence[str]]

# Endings of inflected words, and those of the base form instead.
_ENDINGS: dict[str, tuple[tuple[str, str], ...]] = {
    "noun": (
        ("s", ""),
        ("ses", "s"),
        ("xes", "x"),
        ("zes", "z"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("men", "man"),
        ("ies", "y"),
    ),
    "verb": (("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    "adj": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "adv": (),
}
_FILES = tuple(f"{kind}.{part_of_speech}" for part_of_speech in _ENDINGS for kind in ("index", "data"))


def synonym_candidates(synonyms: Synonyms) -> Candidates:
    """Candidates from synonyms, in the case of the old word; negations and the word itself are left out."""

    def candidates(example: WordedExample, place: Place, rng: random.Random) -> list[str]:
        old = example.word(place)
        return [
            in_case_of(old, new) for new in synonyms(old) if new.casefold() != old.casefold() and not is_protected(new)
        ]

    return candidates


@dataclass(frozen=True)
class _PartOfSpeech:
    """Words of one part of speech, with the offsets of their sets of synonyms in ``data``, and irregular forms."""

    name: str
    senses: dict[str, tuple[int, ...]]
    irregular: dict[str, tuple[str, ...]]
    data: bytes

    def bases(self, word: str) -> list[str]:
        """Base forms that the word may have, the word itself first."""
        found = [word, *self.irregular.get(word, ())]
        found += [word.removesuffix(end) + base for end, base in _ENDINGS[self.name] if word.endswith(end)]
        return [base for base in dict.fromkeys(found) if base in self.senses]

    def synonyms(self, word: str) -> list[str]:
        return [one for base in self.bases(word) for at in self.senses[base] for one in self._set_at(at)]

    def _set_at(self, at: int) -> list[str]:
        fields = self.data[at : self.data.find(b"\n", at)].split()
        # offset, number of the file, kind, how many words (hexadecimal), then each with the number of its sense
        if not fields or fields[0] != b"%08d" % at:
            raise InputError(f"data.{self.name} of the WordNet database is damaged: no set of synonyms at byte {at}.")
        words = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
        return [word.decode(errors="replace").split("(")[0] for word in words]  # adjectives may have a mark: alive(p)


@dataclass(frozen=True, eq=False)
class WordNet:
    """Looks up synonyms in a WordNet database, which is read once from its folder.

    Base forms are those of all parts of speech, found by endings and exceptions as ``morphy`` does. Raises `InputError`
    for a folder that lacks a file of the database.
    """

    folder: Path
    _parts: list[_PartOfSpeech] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        missing = [name for name in _FILES if not (self.folder / name).is_file()]
        if missing:
            raise InputError(
                f"{self.folder} is not the folder of a WordNet database: it lacks {', '.join(missing)}. Expected the "
                "folder dict of Princeton's download, or /usr/share/wordnet of Debian's package wordnet-base."
            )
        self._parts.extend(_part_of_speech(self.folder, name) for name in _ENDINGS)

    def __call__(self, word: str) -> tuple[str, ...]:
        """Synonyms that are single words of letters: of the noun first, then verb, adjective, adverb, by sense."""
        found = (one for part in self._parts for one in part.synonyms(word.lower()))
        return tuple(one for one in dict.fromkeys(found) if one.isalpha() and one.casefold() != word.casefold())

    def parts_of_speech(self, word: str) -> frozenset[str]:
        """Parts of speech that the word may be, of noun, verb, adj and adv; empty where the database lacks it."""
        return frozenset(part.name for part in self._parts if part.bases(word.lower()))


def _part_of_speech(folder: Path, name: str) -> _PartOfSpeech:
    index = folder / f"index.{name}"
    senses = {}
    for number, line in enumerate(_lines(index), 1):
        if line.startswith(" "):  # the licence
            continue
        try:
            # word, part of speech, how many senses, how many kinds of pointers, these, two more numbers, the senses
            word, _, num_senses, *_ = fields = line.split()
            offsets = tuple(map(int, fields[len(fields) - int(num_senses) :]))
        except ValueError:
            raise InputError(f"{index}, line {number}: not a line of an index of the WordNet database.") from None
        if word.isalpha():
            senses[word] = offsets
    exceptions = folder / f"{name}.exc"
    rows = [line.split() for line in _lines(exceptions)] if exceptions.is_file() else []
    irregular = {row[0]: tuple(row[1:]) for row in rows if row}
    return _PartOfSpeech(name, senses, irregular, (folder / f"data.{name}").read_bytes())


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines()
