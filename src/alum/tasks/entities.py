"""Entities in rows of tags, whichever of the usual schemes marks them, and their precision, recall and F1.

A tag is ``O`` or a position and a type: ``B-person``. IOB2 begins each entity with B, IOB1 only those that follow one
of their own type; IOBES and BILOU mark the last word (E or L) and entities of one word (S or U), BMES the middle (M).
"""

from collections.abc import Sequence

_BEGIN, _INSIDE, _END, _SINGLE = frozenset("B"), frozenset("IM"), frozenset("EL"), frozenset("SU")
_POSITIONS = _BEGIN | _INSIDE | _END | _SINGLE


def mark_entities(names: Sequence[str]) -> bool:
    """Whether labels are tags of a scheme that marks entities.

    >>> mark_entities(["O", "B-person", "I-person"]), mark_entities(["o", "I-LOC"]), mark_entities(["NOUN", "VERB"])
    (True, True, False)
    """
    marks = {_position_and_type(name)[0] for name in names if not is_outside(name)}
    if marks & _BEGIN and marks & _SINGLE and not marks & _END:  # who marks entities of one word marks the last of many
        return False
    return bool(marks & (_BEGIN | _INSIDE)) and "" not in marks


def is_outside(name: str) -> bool:
    return name in ("O", "o")


def entity_scores(gold: Sequence[Sequence[str]], found: Sequence[Sequence[str]]) -> dict[str, float]:
    """Precision, recall and F1 of entities over all rows: one is right if its type, first and last word are."""
    gold_entities = {(row, *entity) for row, tags in enumerate(gold) for entity in entities(tags)}
    found_entities = {(row, *entity) for row, tags in enumerate(found) for entity in entities(tags)}
    right = len(gold_entities & found_entities)
    return {
        "precision": right / max(len(found_entities), 1),
        "recall": right / max(len(gold_entities), 1),
        "f1": 2 * right / max(len(gold_entities) + len(found_entities), 1),
    }


def entities(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    """Entities in a row of tags, each with its type, first and last word.

    As in conlleval, the script of the CoNLL shared tasks, an entity also begins where its first word is not marked so:
    after a word outside, after the last word of another, or where the type changes.

    >>> sorted(entities(["B-person", "I-person", "O", "I-group", "U-place"]))
    [('group', 3, 3), ('person', 0, 1), ('place', 4, 4)]
    """
    found: set[tuple[str, int, int]] = set()
    open_type, first = "", 0
    for index, tag in enumerate([*tags, "O"]):
        position, type_ = _position_and_type(tag)
        goes_on = open_type and type_ == open_type and position in _INSIDE | _END
        if open_type and not goes_on:
            found.add((open_type, first, index - 1))
            open_type = ""
        if position and not goes_on:
            open_type, first = type_, index
        if position in _END | _SINGLE:
            found.add((open_type, first, index))
            open_type = ""
    return found


def _position_and_type(tag: str) -> tuple[str, str]:
    """Position and type of a tag; both empty outside, and for what is no tag of a scheme."""
    position, separator, type_ = tag.partition("-")
    return (position.upper(), type_) if separator and position.upper() in _POSITIONS else ("", "")
