"""Inputs as people have them, and what must come out: a case is files, settings, and an outcome.

A new report is one row more, in the table of the test file that it belongs to.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from alum.core.errors import InputError
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.task_data import TaskData, load_task_data
from alum.tasks.kinds.multiple_choice import right_choices
from alum.tasks.kinds.regression import numbers_in
from alum.tasks.kinds.token_classification import tag_names
from alum.tasks.labels import label_ids
from alum.tasks.layout import ID_COLUMNS
from alum.tasks.rows import TaskRows

COLUMNS: Mapping[str, Any] = {"text_columns": "text", "label_column": "label"}
SPLITS = ("train", "validation")


@dataclass(frozen=True)
class Read:
    """What must come out; what is None or empty is not looked at, and splits that are not named are not either."""

    kind: str | None = None
    names: tuple[str, ...] | None = None
    labels: Mapping[str, list[Any]] = field(default_factory=dict)
    texts: Mapping[str, list[list[str]]] = field(default_factory=dict)
    """Texts ``[columns][rows]`` by split."""
    choices: Mapping[str, list[list[str]]] = field(default_factory=dict)
    """Choices ``[columns][rows]`` by split."""
    ids: Mapping[str, list[Any]] = field(default_factory=dict)
    splits: set[str] | None = None
    num_unlabelled: int | None = None


@dataclass(frozen=True)
class Case:
    """Files of a folder by name, as text, bytes or a `Dataset` for Parquet, and what must be read from them.

    ``refused`` is a pattern of the error where nothing may be read. A file ``rows.*`` stands for both splits.
    """

    name: str
    files: Mapping[str, str | bytes | Dataset]
    read: Read | None = None
    refused: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = SPLITS
    wanted: tuple[str, ...] = ()


def parametrized(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


def check(case: Case, folder: Path) -> None:
    """Reads a case's files in an empty folder, and compares what comes out."""
    for name, content in case.files.items():
        write(folder, name, content)
    settings = {**COLUMNS, "data_dir": str(folder), **case.settings}
    arguments = FinetuneArguments(model_name_or_path="none", **settings)
    if case.refused is not None:
        with pytest.raises(InputError, match=case.refused):
            _read_all(load_task_data(arguments, case.needs, case.wanted))
        return
    assert case.read is not None, "a case says what comes out, or what is refused"
    compare(load_task_data(arguments, case.needs, case.wanted), case.read)


def _read_all(data: TaskData) -> None:
    for rows in data.splits.values():
        rows.texts()
    labels_in(data)


def write(folder: Path, name: str, content: str | bytes | Dataset) -> None:
    stem, ending = name.split(".", 1)
    for own in SPLITS if stem == "rows" else (stem,):
        path = folder / f"{own}.{ending}"
        if isinstance(content, Dataset):
            content.to_parquet(str(path))
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)


def compare(data: TaskData, expected: Read) -> None:
    if expected.kind is not None:
        assert data.supervision.kind.name == expected.kind
    if expected.names is not None:
        assert data.label_names == expected.names
    if expected.splits is not None:
        assert {*data.splits, *data.unlabelled} == expected.splits
    if expected.num_unlabelled is not None:
        assert data.num_unlabelled_rows == expected.num_unlabelled
    found = labels_in(data)
    assert {split: found[split] for split in expected.labels} == expected.labels
    rows = {**data.unlabelled, **data.splits}
    assert {split: rows[split].texts() for split in expected.texts} == expected.texts
    choices = {split: [rows[split].table.texts(c) for c in rows[split].layout.choices] for split in expected.choices}
    assert choices == expected.choices
    assert {split: ids_in(rows[split]) for split in expected.ids} == expected.ids


def labels_in(data: TaskData) -> dict[str, list[Any]]:
    """Labels as the model is trained on them, by split: names, numbers, or numbers of choices."""
    of_kind = {
        "sequence_classification": lambda rows: [rows.label_names[label] for label in label_ids(rows)],
        "regression": numbers_in,
        "multiple_choice": right_choices,
        "token_classification": tag_names,
        "question_answering": lambda rows: [answer["text"] for answer in rows.labels()],
        "causal_lm": lambda rows: rows.labels(),
    }
    return {split: of_kind[data.supervision.kind.name](rows) for split, rows in data.splits.items()}


def ids_in(rows: TaskRows) -> list[Any]:
    return next(rows.table.column(name) for name in ID_COLUMNS if name in rows.table.rows.column_names)
