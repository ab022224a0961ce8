"""What the columns of a user's own rows mean, and the kind of task that they show."""

import dataclasses
from typing import Protocol

from datasets import ClassLabel, Value

from alum.core.errors import InputError
from alum.data.table import Table
from alum.tasks.base import Layout, TaskKind
from alum.tasks.kinds.multiple_choice import MULTIPLE_CHOICE
from alum.tasks.kinds.regression import REGRESSION
from alum.tasks.lookup import task_kind_named

DEFAULT_LENGTH_TOKENS = 128


class ColumnArguments(Protocol):
    """What a user says of the columns of rows of their own."""

    kind: str | None
    text_columns: str | None
    label_column: str | None
    choice_columns: str | None


def layout_of(arguments: ColumnArguments, named: Layout | None = None) -> Layout:
    """The columns that the arguments name, of others those of a ``named`` task.

    Raises `InputError` where neither says what the columns mean.
    """
    layout = named
    if layout is None:
        needs_no_text = arguments.kind == "causal_lm"  # which may learn the whole text of the label column
        if not arguments.label_column or not (arguments.text_columns or needs_no_text):
            raise InputError("say what the columns mean: give --task, or --text_columns and --label_column.")
        layout = Layout(text=())
    changes: dict[str, object] = {}
    if arguments.text_columns:
        changes["text"] = _names(arguments.text_columns)
    if arguments.choice_columns:
        changes["choices"] = _names(arguments.choice_columns)
    if arguments.label_column:
        changes["label"] = arguments.label_column
    return dataclasses.replace(layout, **changes)  # type: ignore[arg-type]


def kind_of_rows(arguments: ColumnArguments, table: Table, layout: Layout) -> TaskKind:
    """The kind of task that ``--kind`` names, else the one that columns and labels show.

    Raises `InputError` where they do not show it.
    """
    if arguments.kind:
        return task_kind_named(arguments.kind, layout)
    if layout.choices:
        return MULTIPLE_CHOICE
    table.require([layout.label])
    feature = table.rows.features[layout.label]
    if not isinstance(feature, ClassLabel | Value):  # lists, records, or integers beside strings
        raise InputError(
            f"{table.where}: column {layout.label!r} must hold a name, an integer or a number in every row, and always "
            "the same of these. For other tasks give --kind."
        )
    if feature.dtype.startswith("float"):
        return REGRESSION
    return task_kind_named("pair_classification" if len(layout.text) == 2 else "sentence_classification", layout)


def not_from_hub(where: str, error: Exception, instead: str) -> InputError:
    """The error for a data set that the hub's client does not load, and what to do ``instead``."""
    reason = (str(error) or repr(error)).splitlines()[0].removesuffix(".")
    return InputError(f"{where} cannot be loaded from the hub ({reason}). {instead}")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
