"""Names of labels, and the label that a value in a row is: it is looked up by its text, with errors that name the rows.

Types do not count: 1, 1.0 and "1" are one label, and so are true and "True".
"""

import reprlib
from collections.abc import Iterable, Sequence
from typing import Any

from datasets import ClassLabel, Value

from alum.core.errors import InputError
from alum.data.values import is_missing, label_text, number, whole_number
from alum.tasks.rows import TaskRows

_FEW = 20
_TRUTH = ("false", "true")


def names_in(rows: TaskRows) -> tuple[str, ...]:
    """Label names of a label column: those that its type declares, else of its values (`names_of`)."""
    rows.table.require([rows.layout.label])
    return names_of(rows.table.rows.features[rows.layout.label], rows.labels())


def names_of(feature: Any, values: Iterable[Any]) -> tuple[str, ...]:
    """Label names of a column with the ``datasets`` type ``feature``, or else of its distinct values, in order.

    Whole numbers are in the order of numbers, and stand for all from 0, or their least, to their largest, unless most
    of these do not occur. Negative ones get no name.
    """
    if isinstance(feature, ClassLabel):
        return tuple(feature.names)
    known = (value for value in values if isinstance(value, str | int | float))  # others are refused with their row
    values = {(type(value), value): value for value in known}.values()
    if all(isinstance(value, bool) or str(value).lower() in _TRUTH for value in values):
        return _TRUTH
    numbers = [whole_number(value) for value in values]
    found = {one for one in numbers if one is not None}
    if len(found) < len(set(numbers)):  # some are no numbers
        return tuple(sorted({label_text(value) for value in values}))
    found = {one for one in found if one >= 0}
    if found and not _is_mostly_empty(found):
        found = set(range(min(found), max(found) + 1)) | found
    return tuple(map(str, sorted(found)))


def check_names(names: Sequence[str], rows: TaskRows) -> None:
    """Raises `InputError` where the labels to train on look like ids: a range mostly empty, or one label a row."""
    numbers = {one for name in names if (one := whole_number(name)) is not None}
    column = rows.layout.label
    if len(numbers) == len(names) and numbers and _is_mostly_empty(numbers):
        raise InputError(
            f"{rows.table.where}: the labels in column {column!r} are {len(names)} numbers from {min(numbers)} to "
            f"{max(numbers)}, and most between these do not occur: it looks like an id. Name the column of the label, "
            "give the classes names, or say --kind regression if they are quantities."
        )
    is_one_a_row = isinstance(rows.table.rows.features[column], Value)  # declares no classes, and is no list
    if is_one_a_row and len(names) >= len(rows) > _FEW:
        raise InputError(
            f"{rows.table.where}: each of the {len(rows)} rows has a label of its own in column {column!r}: it looks "
            "like an id. Name the column of the label."
        )


def _is_mostly_empty(numbers: set[int]) -> bool:
    first = 0 if 0 in numbers else min(numbers)
    return 2 * len(numbers) < max(numbers) - first + 1


def are_quantities(values: Iterable[Any]) -> bool:
    """Whether labels are numbers of which some have a fraction, so that they are regressed."""
    known = [value for value in values if not is_missing(value)]
    return all(number(value) is not None for value in known) and any(whole_number(value) is None for value in known)


def label_ids(rows: TaskRows) -> list[int]:
    """Integer labels of rows; raises `InputError`, with the rows, for a value that is none of the label names."""
    values, found = rows.labels(), _Found(rows)
    return [found.index(value, row, values) for row, value in enumerate(values)]


def label_ids_of_lists(rows: TaskRows, lists: Sequence[Sequence[Any]]) -> list[list[int]]:
    """Integer labels of rows that have a list of them each; raises as `label_ids` does."""
    found = _Found(rows)
    return [[found.index(value, row) for value in values] for row, values in enumerate(lists)]


class _Found:
    """Labels of values, found once each."""

    def __init__(self, rows: TaskRows) -> None:
        self._rows = rows
        names = rows.label_names
        self._by_text = {name: index for index, name in reversed(list(enumerate(names)))}
        self._by_lower_case = {name.lower(): index for index, name in enumerate(names)}
        self._has_positions = rows.layout.numbers_are_positions and all(whole_number(name) is None for name in names)
        own = rows.declared_classes
        self._own = own if set(own) <= self._by_text.keys() else ()
        self._known: dict[tuple[type, Any], int] = {}

    def index(self, value: Any, row: int, values: Sequence[Any] = ()) -> int:
        """Label of a value in the row at index ``row``; ``values`` are those of all rows, for the message."""
        if not isinstance(value, str | int | float):
            column = self._rows.layout.label
            raise self._rows.error(row, f"label {reprlib.repr(value)} in column {column!r} must be a name or a number")
        key = type(value), value
        if key not in self._known:
            label = self._label(value)
            if label is None:
                raise self._error(value, row, values)
            self._known[key] = label
        return self._known[key]

    def _label(self, value: str | int | float) -> int | None:
        text, whole = label_text(value), whole_number(value)
        if self._own and isinstance(value, int):
            return self._by_text[self._own[value]] if 0 <= value < len(self._own) else None
        if text not in self._by_text and whole is not None:
            text = str(whole)
        if text in self._by_text:
            return self._by_text[text]
        if text.lower() in _TRUTH:
            return self._by_lower_case.get(text.lower())
        if self._has_positions and whole is not None and 0 <= whole < len(self._rows.label_names):
            return whole
        return None

    def _error(self, value: Any, row: int, values: Sequence[Any]) -> InputError:
        rows = self._rows
        names = [
            f"{i} ({name})" if self._has_positions and str(i) != name else name
            for i, name in enumerate(rows.label_names)
        ]
        listed = ", ".join(names if len(names) <= _FEW else [*names[:_FEW], f"… ({len(names)} in all)"])
        others = [rows.numbers[i] for i, other in enumerate(values) if i > row and other == value]
        also = f" (also in row {', '.join(map(str, others[:3]))}{', …' if len(others) > 3 else ''})" if others else ""
        return rows.error(
            row,
            f"label {reprlib.repr(value)} in column {rows.layout.label!r}{also} is none of {listed}{_remedy(value)}",
        )


def _remedy(value: Any) -> str:
    if whole_number(value) == -1:
        return ". Leave the label of rows without one empty, or give classes names instead of negative numbers"
    if number(value) is not None and whole_number(value) is None:
        return ". For labels that are quantities say --kind regression"
    return ""


def classes(label_names: tuple[str, ...]) -> dict[str, Any]:
    """Settings of a model's configuration that number and name its classes."""
    return {
        "num_labels": len(label_names),
        "id2label": dict(enumerate(label_names)),
        "label2id": {name: i for i, name in enumerate(label_names)},
    }
