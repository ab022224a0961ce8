"""Rows of a task, loaded from a folder, files or the hub, with the meaning of their columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from datasets import Dataset

from alum.core.errors import InputError
from alum.data.split_files import file_of, split_files
from alum.data.table import Table
from alum.data.table_files import columns_of, load_table
from alum.tasks.base import Supervision
from alum.tasks.columns import DEFAULT_LENGTH_TOKENS, ColumnArguments, flags_named, layout_of, supervision_of
from alum.tasks.hub import load_splits
from alum.tasks.labels import check_names
from alum.tasks.layout import ID_COLUMNS, Layout
from alum.tasks.lookup import SUPERVISED, supervision_named
from alum.tasks.named import NamedTask, task_named
from alum.tasks.rows import TaskRows


class DataArguments(ColumnArguments, Protocol):
    """Settings that loading a task's data reads: the task, its files and columns, as in `FinetuneArguments`."""

    task: str | None
    data_dir: str | None


@dataclass(frozen=True)
class TaskData:
    """Loaded task: its rows by split, and the supervision by which they are encoded, predicted and scored."""

    name: str
    supervision: Supervision
    splits: Mapping[str, TaskRows]
    unlabelled: Mapping[str, TaskRows]
    """Rows of splits without labels, such as a test set, which are to be predicted."""
    num_unlabelled_rows: int
    max_length_tokens: int
    metrics: tuple[str, ...]
    """Metrics to report, the main one first; empty where all metrics of the kind of task are reported."""

    @property
    def main_metric(self) -> str:
        return self.metrics[0] if self.metrics else self.supervision.main_metric

    @property
    def label_names(self) -> tuple[str, ...]:
        return next(iter((*self.splits.values(), *self.unlabelled.values()))).label_names

    def score(self, predictions: list[Any], split: str) -> dict[str, float]:
        """Computes the task's metrics for predictions of a split."""
        scores = self.supervision.score(predictions, self.splits[split])
        return {name: scores[name] for name in self.metrics} if self.metrics else scores


def load_task_data(
    arguments: DataArguments,
    needs: tuple[str, ...],
    wanted: tuple[str, ...] = (),
    splits: Mapping[str, Dataset] | None = None,
) -> TaskData:
    """Loads a task's data, which the arguments name, or takes it from ``splits`` in memory.

    ``needs`` are the splits that must be there; further ones are taken whose names begin with one of these or of
    ``wanted`` (``validation_mismatched``, ``test``).

    Raises `InputError` where a split, a column or a label is missing or does not fit.
    """
    task = task_named(arguments.task) if arguments.task else None
    asked = _Asked(arguments, needs, (*needs, *wanted), task, splits)
    layout = asked.layout
    with flags_named(layout):
        rows = {split: TaskRows(table, layout) for split, table in _tables(asked).items()}
    labelled = {
        split: own.labelled(are_published=task is not None)
        for split, own in rows.items()
        if split in needs or _are_labelled(own)
    }
    unlabelled = {split: own.unlabelled() for split, own in rows.items() if split not in labelled}
    train = labelled[needs[0]]
    supervision = SUPERVISED[task.source.kind] if task else supervision_of(arguments, train)
    if task and arguments.kind and supervision_named(arguments.kind, layout) is not supervision:
        raise InputError(
            f"kind {arguments.kind} does not fit the task {task.name}, which is "
            f"{supervision.kind.name.replace('_', ' ')}: leave it out, or say what the columns mean in the place of "
            "the task."
        )
    names = layout.label_names or supervision.label_names(train)
    if task is None:
        check_names(names, train)
    are_positions = bool(layout.label_names or train.declared_classes)

    def named(of_split: Mapping[str, TaskRows]) -> dict[str, TaskRows]:
        return {
            split: own.with_label_names(names, numbers_are_positions=are_positions) for split, own in of_split.items()
        }

    return TaskData(
        name=task.name if task else train.table.where,
        supervision=supervision,
        splits=named(labelled),
        unlabelled=named(unlabelled),
        num_unlabelled_rows=sum(len(rows[split]) - len(own) for split, own in labelled.items()),
        max_length_tokens=task.source.max_length_tokens if task else DEFAULT_LENGTH_TOKENS,
        metrics=task.source.metrics if task else (),
    )


@dataclass(frozen=True)
class _Asked:
    """Splits that are asked for: those that must be there, and how others begin that are taken where they are."""

    arguments: DataArguments
    needs: tuple[str, ...]
    wanted: tuple[str, ...]
    task: NamedTask | None
    splits: Mapping[str, Dataset] | None
    """Rows in memory, used instead of files."""

    @cached_property
    def layout(self) -> Layout:
        return layout_of(self.arguments, self.task.source.layout if self.task else None, self._column_names)

    def _column_names(self) -> list[str]:
        """Names of the columns of the split that is needed first; none where it is not there."""
        first, folder = self.needs[0], self.arguments.data_dir
        if self.splits is not None and first in self.splits:
            return list(self.splits[first].column_names)
        if paths := self.files_of(first):
            return columns_of(paths[0])
        files = split_files(folder) if folder else {}
        return columns_of(file_of(first, files)) if first in files else []

    def files_of(self, split: str) -> list[str]:
        """Files of a split's rows that the arguments name."""
        given = getattr(self.arguments, f"{split}_file", None) or []
        return [given] if isinstance(given, str) else list(given)

    @property
    def theirs(self) -> Mapping[str, str]:
        """Names that the data set of a named task has for splits, by ours."""
        return self.task.splits if self.task else {}

    def named(self) -> dict[str, Table]:
        """Tables of the splits whose files the arguments name."""
        files = {split: self.files_of(split) for split in (*self.needs, "test")}
        read = {split: [self.read(split, path, path) for path in paths] for split, paths in files.items() if paths}
        return {split: some[0] if len(some) == 1 else Table.joined(some) for split, some in read.items()}

    def read(self, split: str, path: str | Path, where: str) -> Table:
        """Reads a split's file; labels may be missing where the split need not be there."""
        must = (*self.layout.inputs, *((self.layout.label,) if split in self.needs else ()))
        return Table.of(load_table(path, must, (self.layout.label, *ID_COLUMNS)), where)


def _tables(asked: _Asked) -> dict[str, Table]:
    """Tables of the splits, by our names for them; a file that is named is taken instead of one in a folder."""
    arguments, task, needs, splits = asked.arguments, asked.task, asked.needs, asked.splits
    tables = asked.named()
    if splits is not None:
        where = "the rows in memory"
        if twice := sorted(tables.keys() & splits.keys()):
            raise InputError(f"{twice[0]} rows are given in memory and as {twice[0]}_file: leave one of them out.")
        tables |= {split: Table.of(rows, split) for split, rows in splits.items()}
    elif arguments.data_dir:
        where = arguments.data_dir
        tables = {**_tables_in(where, asked), **tables}
    elif tables:
        where = "the files given"
    elif task is not None:
        where = task.source.on_hub
        names = asked.theirs
        of_hub = [part for name in dict.fromkeys((*needs, "test")) for part in names.get(name, name).split("+")]
        tables = load_splits(task.source, of_hub, "Without a network give --data_dir.")
    else:
        raise InputError("no data: give --data_dir, --train_file and --validation_file, or --task.")
    for ours, theirs in asked.theirs.items():
        of_ours = theirs.split("+")
        if ours not in tables and all(name in tables for name in of_ours):
            parts = [tables[name] for name in of_ours]
            tables[ours] = parts[0] if len(parts) == 1 else Table.joined(parts)
            for name in of_ours:
                if name.startswith(ours):  # validation_matched is validation now, and measured once
                    del tables[name]
    for split in needs:
        if split not in tables:
            there = split_files(where) if where == arguments.data_dir else tables
            raise InputError(f"{where} has no {split} split, only {', '.join(there)}: give --{split}_file.")
    return {split: table for split, table in tables.items() if split.startswith(asked.wanted)}


def _tables_in(folder: str, asked: _Asked) -> dict[str, Table]:
    """Tables of the splits that a folder has a file for; its other files are not read."""
    files = split_files(folder)
    parts = {part: ours for ours, names in asked.theirs.items() for part in names.split("+")}
    tables = {}
    for split in files:
        ours = parts.get(split, split)
        if ours in files:  # a further split, if anything
            ours = split
        if ours.startswith(asked.wanted):
            tables[split] = asked.read(ours, file_of(split, files), f"{folder}, {split}")
    return tables


def _are_labelled(rows: TaskRows) -> bool:
    if not rows.has_labels:
        return False
    try:
        rows.labelled(are_published=True)
    except InputError:
        return False
    return True
