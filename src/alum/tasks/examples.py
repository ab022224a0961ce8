"""Rows of text and labels to model inputs, checked row by row before any training."""

import math
from dataclasses import dataclass
from typing import Any

from datasets import ClassLabel, Dataset
from transformers import PreTrainedTokenizerBase

from alum.core.errors import InputError
from alum.data.tables import require_columns
from alum.tasks.kind import TaskKind

UNLABELLED = -1


@dataclass(frozen=True)
class Columns:
    """Which columns hold the text (one, or two for a pair) and the label."""

    text: tuple[str, ...]
    label: str
    label_names: tuple[str, ...]


def label_names_of(table: Dataset, column: str) -> tuple[str, ...]:
    """The label names of a table: those of its features, else the values themselves in order."""
    feature = table.features[column]
    if isinstance(feature, ClassLabel):
        return tuple(feature.names)
    values = {value for value in table.unique(column) if value is not None and value != UNLABELLED}
    if all(isinstance(value, int) for value in values):
        return tuple(str(value) for value in range(max(values, default=-1) + 1))
    return tuple(sorted(map(str, values)))


def without_unlabelled(table: Dataset, column: str) -> Dataset:
    """The table without the rows whose label is -1 or missing."""
    labels = table[column]
    kept = [i for i, label in enumerate(labels) if label is not None and label != UNLABELLED]
    return table if len(kept) == len(table) else table.select(kept)


def encode(
    table: Dataset,
    columns: Columns,
    kind: TaskKind,
    tokenizer: PreTrainedTokenizerBase,
    max_length_tokens: int,
    where: str,
) -> Dataset:
    """Model inputs and ``labels`` for every row; truncated, not padded.

    Raises `InputError`, naming ``where`` and the row, for a missing column, a text that is none, or a label outside the
    list.
    """
    require_columns(table, [*columns.text, columns.label], where)
    if len(table) == 0:
        raise InputError(f"{where} has no labelled rows.")
    texts = [_texts(table, column, where) for column in columns.text]
    labels = _labels(table[columns.label], columns, kind, where)
    encoded = tokenizer(*texts, truncation=True, max_length=max_length_tokens)
    return Dataset.from_dict({**{name: encoded[name] for name in encoded}, "labels": labels})


def _texts(table: Dataset, column: str, where: str) -> list[str]:
    values: list[Any] = list(table[column])
    for row, value in enumerate(values):
        if not isinstance(value, str):
            raise InputError(f"{where}, row {row}: column {column!r} must be text, not {value!r}.")
    return values


def _labels(values: Any, columns: Columns, kind: TaskKind, where: str) -> list[Any]:
    labels: list[Any] = []
    for row, value in enumerate(values):
        if kind.name == "regression":
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise InputError(f"{where}, row {row}: label must be a number, not {value!r}.")
            labels.append(float(value))
        elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(columns.label_names):
            labels.append(value)
        elif isinstance(value, str) and value in columns.label_names:
            labels.append(columns.label_names.index(value))
        else:
            names = ", ".join(f"{i} ({name})" for i, name in enumerate(columns.label_names))
            raise InputError(f"{where}, row {row}: label {value!r} in column {columns.label!r} is none of {names}.")
    return labels
