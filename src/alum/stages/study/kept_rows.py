"""Rows of a study's tasks, kept in its folder by their content: those to train on, to choose by and to measure on."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from alum.core.errors import InputError
from alum.data.writing import draft_of, write_text
from alum.stages.evaluation.arguments import EvaluateArguments
from alum.stages.evaluation.suite_data import SuiteSpec, load_suite
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.task_data import load_task_data
from alum.stages.study.reading.kept import SPLITS, lines_of
from alum.stages.study.settings import Settings
from alum.tasks.rows import TaskRows

_DATA_ARGUMENTS = {one.name for one in dataclasses.fields(FinetuneArguments)} - {"model_name_or_path"}
_COLUMNS = ("kind", "text_columns", "label_column", "choice_columns")


def keep_rows(name: str, settings: Settings, folder: Path) -> tuple[dict[str, str], str]:
    """Writes a task's rows to a folder, unless they are there; digests by split and suite, and the main metric."""
    given = {key: value for key, value in settings.items() if key in _DATA_ARGUMENTS}
    try:
        arguments = FinetuneArguments(model_name_or_path="", **given)
        share = settings.get("validation_share")
        needs = ("train", "validation") if share is None else ("train",)
        data = load_task_data(arguments, needs, wanted=("validation", "test"))
        cut_short = ("train", "validation")
        splits = {
            split: _mixed(rows) if split in cut_short and rows.are_of_several else rows
            for split, rows in data.splits.items()
        }
        files = {
            "test/test.jsonl" if split == "test" else f"{split}.jsonl": (split, rows)
            for split, rows in _three_splits(splits, share).items()
        }
        files |= {
            f"suites/{suite}.jsonl": (f"suite {suite}", _rows_of_suite(suite, file, settings))
            for suite, file in settings.get("suites", {}).items()
        }
    except InputError as error:
        raise InputError(f"task {name}: {error}") from None
    digests = {what: _digest(rows) for what, rows in files.values()}
    place = folder / place_of_rows(digests)
    if not place.is_dir():
        draft = draft_of(place)
        shutil.rmtree(draft, ignore_errors=True)
        for file, (_, rows) in files.items():
            (draft / file).parent.mkdir(parents=True, exist_ok=True)
            write_text(draft / file, "".join(lines_of(rows)))
        draft.rename(place)
    return digests, data.main_metric


def place_of_rows(digests: Mapping[str, str]) -> str:
    """Name of the folder with the rows of these digests."""
    return hashlib.blake2b(json.dumps(digests, sort_keys=True).encode(), digest_size=8).hexdigest()


def digest_of(parts: Any) -> str:
    """Digest of a value that JSON has a form for."""
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def _rows_of_suite(suite: str, file: str, settings: Settings) -> Dataset:
    spec = SuiteSpec(suite, file)
    columns = {} if spec.suite else {name: settings[name] for name in _COLUMNS if name in settings}
    return load_suite(spec, EvaluateArguments(model_name_or_path=[], **columns)).rows.table.rows


def _mixed(rows: TaskRows) -> TaskRows:
    """Rows of several files or splits in a drawn order: the first ones, as of ``max_train_samples``, are of all."""
    return rows.select(np.random.default_rng(0).permutation(len(rows)).tolist())


def _three_splits(splits: Mapping[str, TaskRows], share: float | None) -> dict[str, Dataset]:
    """Rows to train on, to choose by and to measure on.

    With a ``share`` the second are held back from the first, and where no test rows have labels, validation rows are
    measured on.
    """
    if share is None:
        if "test" not in splits:
            raise InputError(
                "there are no labelled test rows, and validation rows choose. Give a test_file, or a validation_share: "
                "so much of the training rows chooses then, and the validation rows are what is measured on."
            )
        return {split: splits[split].table.rows for split in SPLITS}
    if not isinstance(share, float) or not 0 < share < 1:
        raise InputError(f"validation_share must lie in (0, 1), not {share!r}.")
    measured = splits.get("test", splits.get("validation"))
    if measured is None:
        raise InputError("there are no labelled rows to measure on: give a test_file or a validation_file.")
    rows = splits["train"].table.rows
    order = np.random.default_rng(0).permutation(len(rows)).tolist()
    count = max(round(share * len(rows)), 1)
    if count == len(rows):
        raise InputError(f"validation_share {share} leaves no row to train on, of {len(rows)}.")
    return {
        "train": rows.select(sorted(order[count:])),
        "validation": rows.select(sorted(order[:count])),
        "test": measured.table.rows,
    }


def _digest(rows: Dataset) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for line in lines_of(rows):
        digest.update(line.encode("utf-8", errors="surrogatepass"))
    return digest.hexdigest()
