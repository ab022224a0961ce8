"""Label columns: names, integers or strings, checked row by row."""

from typing import Any

from datasets import ClassLabel

from alum.tasks.rows import TaskRows


def names_in(rows: TaskRows) -> tuple[str, ...]:
    """Label names of the label column: those of its features, else the values themselves in order.

    Integers 0 … n-1 are named by their numbers, truth values "false" and "true".
    """
    rows.table.require([rows.layout.label])
    return names_of(rows.table.rows.features[rows.layout.label], set(rows.labels()))


def names_of(feature: Any, values: set[Any]) -> tuple[str, ...]:
    """Label names of a feature and the values that it has."""
    if isinstance(feature, ClassLabel):
        return tuple(feature.names)
    if all(isinstance(value, bool) for value in values):
        return ("false", "true")
    if all(isinstance(value, int) for value in values):
        return tuple(str(value) for value in range(max(values, default=-1) + 1))
    return tuple(sorted(map(str, values)))


def label_ids(rows: TaskRows) -> list[int]:
    """Integer labels of a column that holds integers or names; raises `InputError`, with the row, for others."""
    return [label_id(value, rows, index) for index, value in enumerate(rows.labels())]


def label_id(value: Any, rows: TaskRows, index: int) -> int:
    """The number of the label ``value``, which is from the row at ``index``; raises `InputError` if it is none."""
    names = rows.label_names
    if isinstance(value, int) and 0 <= value < len(names):
        return int(value)  # of a truth value too
    if isinstance(value, str) and value in names:
        return names.index(value)
    listed = ", ".join(f"{i} ({name})" if str(i) != name else name for i, name in enumerate(names))
    raise rows.error(index, f"label {value!r} in column {rows.layout.label!r} is none of {listed}")


def classes(label_names: tuple[str, ...]) -> dict[str, Any]:
    """Part of a model's configuration that names its classes."""
    return {
        "num_labels": len(label_names),
        "id2label": dict(enumerate(label_names)),
        "label2id": {name: i for i, name in enumerate(label_names)},
    }
