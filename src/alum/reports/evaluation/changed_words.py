"""Attacked texts cut into pieces: unchanged text, changed words, and gaps where a long text is shortened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from alum.attacks.text.worded import WordedText
from alum.data.visible_text import visible
from alum.reports.evaluation.record import ChangeRecord
from alum.reports.lookalikes import lookalikes_named

MAX_WORDS = 160
_CONTEXT_WORDS = 14
_MAX_CHANGES = 40
_MAX_WORD_CHARACTERS = 80
_MAX_PART_CHARACTERS = 300


@dataclass(frozen=True)
class Piece:
    """Piece of an attacked text: unchanged text, a changed word, or a gap.

    Unchanged text (``same``) is in ``old``; a ``gap`` stands for text that is left out, and has none.
    """

    kind: Literal["same", "changed", "gap"]
    old: str = ""
    new: str = ""


def changed_words(texts: Sequence[str], changes: Sequence[ChangeRecord]) -> list[list[Piece]] | None:
    """Cuts attacked texts into pieces at their changed words, with control characters spelled out as by `visible`.

    Of a text with more than `MAX_WORDS` words, only the surroundings of the first changes are kept, or its beginning.
    Returns None where the changes are not of these texts: a changed word is not there, or is another one.
    """
    worded = [WordedText.of(text) for text in texts]
    by_text: list[dict[int, ChangeRecord]] = [{} for _ in texts]
    for change in changes:
        text, word = change["text"], change["word"]
        if not (0 <= text < len(worded) and 0 <= word < len(worded[text].words)):
            return None
        if worded[text].word(word) != change["old"]:
            return None
        by_text[text][word] = change
    return [_pieces(text, found) for text, found in zip(worded, by_text, strict=True)]


def shortened(text: str) -> list[Piece]:
    """Cuts a text without changes into pieces; of one with more than `MAX_WORDS` words only the beginning is kept."""
    return _pieces(WordedText.of(text), {})


def _pieces(text: WordedText, changes: Mapping[int, ChangeRecord]) -> list[Piece]:
    kept = _kept_words(len(text.words), sorted(changes))
    pieces: list[Piece] = []
    for number, part in enumerate(text.parts):
        word = number // 2
        if not (word in kept or (number % 2 == 0 and word - 1 in kept)):
            if not pieces or pieces[-1].kind != "gap":
                pieces.append(Piece("gap"))
        elif number % 2 and word in changes:
            old, new = (_clipped(changes[word][key], _MAX_WORD_CHARACTERS) for key in ("old", "new"))
            named = lookalikes_named(changes[word]["old"], changes[word]["new"])
            pieces.append(Piece("changed", old, new + named))
        else:
            same = _clipped(part, _MAX_PART_CHARACTERS)
            before = pieces.pop().old if pieces and pieces[-1].kind == "same" else ""
            pieces.append(Piece("same", before + same))
    return [piece for piece in pieces if piece != Piece("same")]


def _kept_words(num_words: int, changed: Sequence[int]) -> Sequence[int] | set[int]:
    if num_words <= MAX_WORDS:
        return range(num_words + 1)  # and what stands where there is no word at all
    centres = changed[:_MAX_CHANGES] or [_CONTEXT_WORDS]
    around = (range(max(0, word - _CONTEXT_WORDS), word + _CONTEXT_WORDS + 1) for word in centres)
    return {word for words in around for word in words if word < num_words}


def _clipped(text: str, max_characters: int) -> str:
    """Text with control characters spelled out; an ellipsis stands for the middle of one that is too long."""
    if len(text) > max_characters:
        half = max_characters // 2
        return f"{visible(text[:half])}…{visible(text[-half:])}"
    return visible(text)
