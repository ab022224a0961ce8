"""Reading of label columns that hold names or integers, with errors that name the row."""

from typing import Any

from datasets import ClassLabel

from alum.tasks.rows import TaskRows


def names_in(rows: TaskRows) -> tuple[str, ...]:
    """Label names of a label column: those that its type declares, else its distinct values in order.

    Integers 0 … n-1 are named by their numbers, truth values "false" and "true".
    """
    rows.table.require([rows.layout.label])
    return names_of(rows.table.rows.features[rows.layout.label], set(rows.labels()))


def names_of(feature: Any, values: set[Any]) -> tuple[str, ...]:
    """Label names of a column with the ``datasets`` type ``feature``, or else of its distinct values."""
    if isinstance(feature, ClassLabel):
        return tuple(feature.names)
    if all(isinstance(value, bool) for value in values):
        return ("false", "true")
    if all(isinstance(value, int) for value in values):
        return tuple(str(value) for value in range(max(values, default=-1) + 1))
    return tuple(sorted(map(str, values)))


def label_ids(rows: TaskRows) -> list[int]:
    """Integer labels of rows that hold integers or names; raises `InputError`, with the row, for others."""
    return [label_id(value, rows, index) for index, value in enumerate(rows.labels())]


def label_id(value: Any, rows: TaskRows, index: int) -> int:
    """Integer label of ``value`` from the row at ``index``; raises `InputError`, with the row, if it is no label."""
    names = rows.label_names
    if isinstance(value, int) and 0 <= value < len(names):
        return int(value)  # of a truth value too
    if isinstance(value, str) and value in names:
        return names.index(value)
    listed = ", ".join(f"{i} ({name})" if str(i) != name else name for i, name in enumerate(names))
    raise rows.error(index, f"label {value!r} in column {rows.layout.label!r} is none of {listed}")


def classes(label_names: tuple[str, ...]) -> dict[str, Any]:
    """Settings of a model's configuration that number and name its classes."""
    return {
        "num_labels": len(label_names),
        "id2label": dict(enumerate(label_names)),
        "label2id": {name: i for i, name in enumerate(label_names)},
    }
