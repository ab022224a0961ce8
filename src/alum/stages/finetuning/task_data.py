"""The rows of a task: from a folder, files or the hub, with what their columns mean."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from datasets import Dataset, load_dataset

from alum.core.errors import InputError
from alum.data.table import Table
from alum.data.table_files import load_folder, load_table
from alum.tasks.base import Layout, Supervision, TaskKind
from alum.tasks.columns import DEFAULT_LENGTH_TOKENS, ColumnArguments, kind_of_rows, layout_of, not_from_hub
from alum.tasks.named import NamedTask, task_named


class DataArguments(ColumnArguments, Protocol):
    """What `FinetuneArguments` and `EvaluateArguments` say of the data."""

    task: str | None
    data_dir: str | None


@dataclass(frozen=True)
class TaskData:
    """The labelled rows of each split, and how they are read and scored."""

    name: str
    kind: TaskKind
    supervision: Supervision
    layout: Layout
    splits: Mapping[str, Table]
    unlabelled: Mapping[str, Table]
    """Splits of the task's own that carry no labels, to predict."""
    num_unlabelled_rows: int
    max_length_tokens: int
    metrics: tuple[str, ...]
    """The metrics to report, main one first; empty for all that the kind has."""

    @property
    def main_metric(self) -> str:
        return self.metrics[0] if self.metrics else self.supervision.main_metric

    def score(self, predictions: list[object], split: str) -> dict[str, float]:
        """The task's metrics of predictions for a split."""
        scores = self.supervision.score(predictions, self.splits[split], self.layout)
        return {name: scores[name] for name in self.metrics} if self.metrics else scores


def load_task_data(
    arguments: DataArguments,
    needs: tuple[str, ...],
    wanted: tuple[str, ...] = (),
    splits: Mapping[str, Dataset] | None = None,
) -> TaskData:
    """The data that the arguments name, or ``splits`` in memory.

    ``needs`` are the splits that must be there; further ones are taken whose names begin with one of these or of
    ``wanted`` (``validation_mismatched``, ``test``).

    Raises `InputError` where a split, a column or a label is missing or does not fit.
    """
    task = task_named(arguments.task) if arguments.task else None
    tables = _tables(arguments, needs, (*needs, *wanted), task, splits)
    layout = layout_of(arguments, task.layout if task else None)
    kind = task.kind if task else kind_of_rows(arguments, tables[needs[0]], layout)
    assert kind.supervision is not None
    labelled, unlabelled, dropped = {}, {}, 0
    for split, table in tables.items():
        if split in needs or _has_labels(table, layout):
            labelled[split] = table.labelled(layout.label)
            dropped += len(table) - len(labelled[split])
        else:
            unlabelled[split] = table.without(layout.label)
    if not layout.label_names:
        names = kind.supervision.label_names(labelled[needs[0]], layout)
        layout = dataclasses.replace(layout, label_names=names)
    return TaskData(
        name=task.name if task else labelled[needs[0]].where,
        kind=kind,
        supervision=kind.supervision,
        layout=layout,
        splits=labelled,
        unlabelled=unlabelled,
        num_unlabelled_rows=dropped,
        max_length_tokens=task.max_length_tokens if task else DEFAULT_LENGTH_TOKENS,
        metrics=task.metrics if task else (),
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
        where = "/".join(filter(None, (task.hub_id, task.hub_config)))
        tables = {split: Table.of(rows, f"{where}, {split}") for split, rows in _from_hub(task, where).items()}
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


def _from_hub(task: NamedTask, where: str) -> Mapping[str, Dataset]:
    try:
        return dict(load_dataset(task.hub_id, task.hub_config))
    except Exception as error:  # the hub's client raises whatever its transport does
        raise not_from_hub(where, error, "Without a network give --data_dir.") from None


def _has_labels(table: Table, layout: Layout) -> bool:
    if layout.label not in table.rows.column_names:
        return False
    try:
        table.labelled(layout.label)
    except InputError:
        return False
    return True
