"""Rows of a task, loaded from a folder, files or the hub, with the meaning of their columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from datasets import Dataset

from alum.core.errors import InputError
from alum.data.table import Table
from alum.data.table_files import load_folder, load_table
from alum.tasks.base import Supervision
from alum.tasks.columns import DEFAULT_LENGTH_TOKENS, ColumnArguments, layout_of, supervision_of
from alum.tasks.hub import load_splits
from alum.tasks.lookup import SUPERVISED
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
    tables = _tables(arguments, needs, (*needs, *wanted), task, splits)
    layout = layout_of(arguments, task.source.layout if task else None)
    rows = {split: TaskRows(table, layout) for split, table in tables.items()}
    supervision = SUPERVISED[task.source.kind] if task else supervision_of(arguments, rows[needs[0]])
    labelled = {split: own.labelled() for split, own in rows.items() if split in needs or _are_labelled(own)}
    unlabelled = {split: own.unlabelled() for split, own in rows.items() if split not in labelled}
    names = layout.label_names or supervision.label_names(labelled[needs[0]])
    return TaskData(
        name=task.name if task else labelled[needs[0]].table.where,
        supervision=supervision,
        splits={split: own.with_label_names(names) for split, own in labelled.items()},
        unlabelled={split: own.with_label_names(names) for split, own in unlabelled.items()},
        num_unlabelled_rows=sum(len(rows[split]) - len(own) for split, own in labelled.items()),
        max_length_tokens=task.source.max_length_tokens if task else DEFAULT_LENGTH_TOKENS,
        metrics=task.source.metrics if task else (),
    )


def _tables(
    arguments: DataArguments,
    needs: tuple[str, ...],
    wanted: tuple[str, ...],
    task: NamedTask | None,
    splits: Mapping[str, Dataset] | None,
) -> dict[str, Table]:
    files = {split: getattr(arguments, f"{split}_file", None) for split in (*needs, "test")}
    names = dict(task.splits) if task else {}
    if splits is not None:
        where = "the rows in memory"
        tables = {split: Table.of(rows, split) for split, rows in splits.items()}
    elif arguments.data_dir:
        where = arguments.data_dir
        tables = {split: Table.of(rows, f"{where}, {split}") for split, rows in load_folder(where).items()}
    elif any(files.values()):
        where = "the files given"
        tables = {split: Table.of(load_table(file), file) for split, file in files.items() if file}
    elif task is not None:
        where = task.source.on_hub
        asked = [part for name in dict.fromkeys((*needs, "test")) for part in names.get(name, name).split("+")]
        tables = load_splits(task.source, asked, "Without a network give --data_dir.")
    else:
        raise InputError("no data: give --data_dir, --train_file and --validation_file, or --task.")
    for ours, theirs in names.items():
        if ours not in tables and all(name in tables for name in theirs.split("+")):
            parts = [tables[name] for name in theirs.split("+")]
            tables[ours] = parts[0] if len(parts) == 1 else Table.joined(parts)
            if theirs.startswith(ours):  # validation_matched is validation now, and measured once
                del tables[theirs]
    for split in needs:
        if split not in tables:
            raise InputError(f"{where} has no {split} split, only {', '.join(tables)}: give --{split}_file.")
    return {split: table for split, table in tables.items() if split.startswith(wanted)}


def _are_labelled(rows: TaskRows) -> bool:
    if not rows.has_labels:
        return False
    try:
        rows.labelled()
    except InputError:
        return False
    return True
