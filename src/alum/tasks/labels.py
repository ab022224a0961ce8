"""Label columns: names, integers or strings, checked row by row."""

from collections.abc import Sequence
from typing import Any

from datasets import ClassLabel

from alum.data.table import Table
from alum.tasks.base import Layout


def names_in(table: Table, column: str) -> tuple[str, ...]:
    """The label names of a column: those of its features, else the values themselves in order.

    Integers 0 … n-1 are named by their numbers, truth values "false" and "true".
    """
    table.require([column])
    return names_of(table.rows.features[column], set(table.column(column)))


def names_of(feature: Any, values: set[Any]) -> tuple[str, ...]:
    if isinstance(feature, ClassLabel):
        return tuple(feature.names)
    if all(isinstance(value, bool) for value in values):
        return ("false", "true")
    if all(isinstance(value, int) for value in values):
        return tuple(str(value) for value in range(max(values, default=-1) + 1))
    return tuple(sorted(map(str, values)))


def label_ids(table: Table, layout: Layout) -> list[int]:
    """The integer labels of a column that holds integers or names; raises `InputError`, with the row, for others."""
    return [
        label_id(value, layout.label_names, table, i, layout.label)
        for i, value in enumerate(table.column(layout.label))
    ]


def label_id(value: Any, names: Sequence[str], table: Table, index: int, column: str) -> int:
    if isinstance(value, int) and 0 <= value < len(names):
        return int(value)  # of a truth value too
    if isinstance(value, str) and value in names:
        return names.index(value)
    listed = ", ".join(f"{i} ({name})" if str(i) != name else name for i, name in enumerate(names))
    raise table.error(index, f"label {value!r} in column {column!r} is none of {listed}")


def classes(label_names: tuple[str, ...]) -> dict[str, Any]:
    """The part of a model's configuration that names its classes."""
    return {
        "num_labels": len(label_names),
        "id2label": dict(enumerate(label_names)),
        "label2id": {name: i for i, name in enumerate(label_names)},
    }
