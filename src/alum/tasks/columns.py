"""Layout and kind of task of a user's own data, by named columns and the values found in them."""

import dataclasses
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from datasets import ClassLabel, Value

from alum.core.errors import InputError
from alum.data.table_files import MissingColumnError
from alum.tasks.base import Supervision
from alum.tasks.labels import are_quantities
from alum.tasks.layout import Layout
from alum.tasks.lookup import SUPERVISED, USER_KINDS, supervision_named
from alum.tasks.rows import TaskRows

logger = logging.getLogger(__name__)

DEFAULT_LENGTH_TOKENS = 128


class ColumnArguments(Protocol):
    """Settings by which users say what the columns of their own data hold, and of which kind the task is."""

    kind: str | None
    text_columns: str | None
    label_column: str | None

    @property
    def choice_columns(self) -> str | None: ...


def layout_of(
    arguments: ColumnArguments, named: Layout | None = None, column_names: Callable[[], Sequence[str]] = tuple
) -> Layout:
    """Layout of the columns that the arguments name; the rest is as in a ``named`` task, where there is one.

    Where they name none, it is the first of those that the kind knows whose columns are there, by ``column_names``.

    Raises `InputError` where neither says what the columns mean.
    """
    layout = named
    if layout is None and not (arguments.label_column or arguments.text_columns):
        layout = _known_layout(arguments.kind, column_names)
    if layout is None:
        if not arguments.label_column or (not arguments.text_columns and _needs_text(arguments.kind)):
            raise InputError("say what the columns mean: give --task, or --text_columns and --label_column.")
        layout = Layout(text=())
    changes: dict[str, object] = {}
    if named is None and arguments.kind in USER_KINDS:
        changes["label_is_text"] = USER_KINDS[arguments.kind][0].label_is_text
    if arguments.text_columns:
        changes["text"] = _names(arguments.text_columns)
    if arguments.choice_columns:
        changes["choices"] = _names(arguments.choice_columns)
    if arguments.label_column:
        changes["label"] = arguments.label_column
    return dataclasses.replace(layout, **changes)  # type: ignore[arg-type]


@contextmanager
def flags_named(layout: Layout, **others: str | None) -> Iterator[None]:
    """Adds to errors about missing columns the settings that name them: those of a layout, and ``others``."""
    try:
        yield
    except MissingColumnError as error:
        named = {"text_columns": layout.text, "label_column": (layout.label,), "choice_columns": layout.choices}
        columns_of = {**named, **{name: (column,) for name, column in others.items()}}
        flags = [f"--{name}" for name, columns in columns_of.items() if set(columns) & set(error.missing)]
        if not flags:
            raise
        raise InputError(f"{error} Name another with {' and '.join(flags)}.") from None


def supervision_of(arguments: ColumnArguments, rows: TaskRows) -> Supervision:
    """Finds the kind of task that ``--kind`` names, else the one that columns and labels show.

    Raises `InputError` where they do not show it.
    """
    layout, table = rows.layout, rows.table
    if arguments.kind:
        return supervision_named(arguments.kind, layout)
    if layout.choices:
        return SUPERVISED["multiple_choice"]
    table.require([layout.label])
    feature = table.rows.features[layout.label]
    if not isinstance(feature, ClassLabel | Value):  # lists, records, or integers beside strings
        raise InputError(
            f"{table.where}: column {layout.label!r} must hold a name, an integer or a number in every row, and always "
            "the same of these. For other tasks give --kind."
        )
    labels = [] if isinstance(feature, ClassLabel) else rows.labels()
    if are_quantities(labels):
        return SUPERVISED["regression"]
    if any(isinstance(label, float) for label in labels):
        logger.warning(
            "labels in column %r of %s are whole numbers and taken as classes: say --kind regression if they are "
            "quantities",
            layout.label,
            table.where,
        )
    return supervision_named("pair_classification" if len(layout.text) == 2 else "sentence_classification", layout)


def known_layouts(kind: str | None) -> tuple[Layout, ...]:
    """Columns by which rows of a kind are read where none are named; empty for kinds that need names."""
    return USER_KINDS[kind][0].known_layouts if kind in USER_KINDS else ()


def _known_layout(kind: str | None, column_names: Callable[[], Sequence[str]]) -> Layout | None:
    known = known_layouts(kind)
    if not known:
        return None
    there = set(column_names())
    for layout in known:
        if {*layout.inputs, layout.label} <= there:
            return layout
    listed = "; ".join(", ".join((*layout.inputs, layout.label)) for layout in known)
    raise InputError(
        f"say what the columns mean, with --text_columns and --label_column: known by themselves are {listed}, but the "
        f"columns are {', '.join(sorted(there)) or 'none'}."
    )


def _needs_text(kind: str | None) -> bool:
    return kind not in USER_KINDS or USER_KINDS[kind][0].needs_text


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
