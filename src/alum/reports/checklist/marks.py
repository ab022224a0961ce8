"""A changed text beside the original one: what is the same in both, and what became what."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


class Exchanged(NamedTuple):
    """Part of a text that another stands in the place of; either may be empty."""

    old: str
    new: str


Parts = list[str | Exchanged]


def marked_texts(original: Sequence[str] | None, changed: Sequence[str]) -> list[Parts]:
    """Parts of each of the changed texts; whole where there is no original, or the same texts in another order.

    >>> marked_texts(["one", "two"], ["two", "one"])
    [['two'], ['one']]
    """
    if original is None or sorted(original) == sorted(changed):
        return [[text] for text in changed]
    return [marked(old, new) for old, new in zip(original, changed, strict=True)]


def marked(original: str, changed: str) -> Parts:
    """Parts of two texts, in their order: those that are the same, and those that were exchanged, by words.

    >>> marked("a fine film", "a fnie film")
    ['a ', Exchanged(old='fine', new='fnie'), ' film']
    """
    old, new = _WORDS.findall(original), _WORDS.findall(changed)
    parts: Parts = []
    for what, start, end, from_new, to_new in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        before, after = "".join(old[start:end]), "".join(new[from_new:to_new])
        parts.append(before if what == "equal" else Exchanged(before, after))
    return parts
