"""Inputs of a study: rows of its tasks, kept in its folder by their content, and digests of its models."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from alum.core.errors import InputError
from alum.data.writing import draft_of, write_text
from alum.evaluation.suites import SUITES
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.task_data import load_task_data
from alum.stages.runs.kept import SPLITS, lines_of
from alum.stages.study.settings import Settings, Study
from alum.tasks.rows import TaskRows

DATA, INPUTS = "data", "inputs.json"
_MODEL_FILES = ("*.json", "*.safetensors", "*.bin", "*.txt", "*.model")
_DATA_ARGUMENTS = {one.name for one in dataclasses.fields(FinetuneArguments)} - {"model_name_or_path"}


@dataclass(frozen=True)
class StudyInputs:
    """Digests by which cells know their data and models, wherever these lie.

    ``tasks`` have a digest for each split, ``models`` one for each path or id; ``main_metrics`` are by task.
    """

    folder: Path
    tasks: Mapping[str, Mapping[str, str]]
    models: Mapping[str, str]
    main_metrics: Mapping[str, str]

    def data_dir(self, task: str) -> Path:
        """Folder with the rows to train on and to choose by; those to measure on are `test_file`."""
        return self.folder / DATA / _together(self.tasks[task])

    def test_file(self, task: str) -> Path:
        return self.data_dir(task) / "test" / "test.jsonl"

    def test_rows(self, task: str, settings: Settings) -> dict[str, Any]:
        """Settings of an evaluation that name a task's rows to measure on."""
        named = settings.get("task")
        if named in SUITES:
            return {"suites": [f"{named}={self.test_file(task)}"]}
        columns = ("kind", "text_columns", "label_column", "choice_columns", "max_seq_length")
        return {
            "validation_file": str(self.test_file(task)),
            **{name: settings[name] for name in columns if name in settings},
        }

    def write(self) -> None:
        found = {"tasks": self.tasks, "models": self.models, "main_metrics": self.main_metrics}
        write_text(self.folder / INPUTS, json.dumps(found, indent=2, sort_keys=True) + "\n")


def known_inputs(folder: Path) -> StudyInputs:
    """Reads what a study's folder knows of its inputs; nothing where it has not begun."""
    file = folder / INPUTS
    found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return StudyInputs(folder, *(found.get(name, {}) for name in ("tasks", "models", "main_metrics")))


def inputs_of(study: Study, folder: Path) -> StudyInputs:
    """Loads the rows of a study's tasks into its folder, and takes digests of them and of the models.

    What is no longer where it was is taken as the folder knows it. Raises `InputError` for what is missing, cannot be
    used, or has other content than the study began with.
    """
    known = known_inputs(folder)
    tasks, metrics = dict(known.tasks), dict(known.main_metrics)
    for name, settings in study.tasks.items():
        try:
            digests, metrics[name] = _kept_rows(name, settings, folder)
        except InputError:
            if name not in known.tasks:
                raise
            continue
        if known.tasks.get(name, digests) != digests:
            raise InputError(f"the rows of task {name} are not those that the study in {folder} began with.")
        tasks[name] = digests
    models = dict(known.models)
    for path in sorted(_models(study)):
        if Path(path).is_dir() or path not in models:
            digest = model_digest(path)
            if models.setdefault(path, digest) != digest:
                raise InputError(f"{path} is not the model that the study in {folder} began with.")
    inputs = StudyInputs(folder, tasks, models, metrics)
    inputs.write()
    return inputs


def model_digest(path: str) -> str:
    """Digest of a model's files, without their place; of an id of the hub, the id."""
    folder = Path(path)
    if not folder.is_dir():
        return f"hub:{path}"
    digest = hashlib.blake2b(digest_size=16)
    kept = {"run.json", "results.json", "trainer_state.json"}  # records, not the model
    for file in sorted({file for form in _MODEL_FILES for file in folder.glob(form)} - {folder / n for n in kept}):
        digest.update(file.name.encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _models(study: Study) -> set[str]:
    found = {
        settings["model_name_or_path"]
        for settings in (*study.tasks.values(), *study.arms.values())
        if "model_name_or_path" in settings
    }
    return found | {path for grid in study.search.values() for path in grid.get("model_name_or_path", ())}


def _kept_rows(name: str, settings: Settings, folder: Path) -> tuple[dict[str, str], str]:
    """Writes a task's rows to the study's folder, unless they are there; digests by split, and the main metric."""
    given = {key: value for key, value in settings.items() if key in _DATA_ARGUMENTS}
    try:
        arguments = FinetuneArguments(model_name_or_path="", **given)
        share = settings.get("validation_share")
        needs = ("train", "validation") if share is None else ("train",)
        data = load_task_data(arguments, needs, wanted=("validation", "test"))
        splits = _three_splits(data.splits, share)
    except InputError as error:
        raise InputError(f"task {name}: {error}") from None
    if arguments.task is not None and arguments.task not in SUITES:
        raise InputError(f"task {name}: {arguments.task} is no suite to measure on. Name its columns instead of it.")
    digests = {split: _digest(rows) for split, rows in splits.items()}
    place = folder / DATA / _together(digests)
    if not place.is_dir():
        draft = draft_of(place)
        shutil.rmtree(draft, ignore_errors=True)
        (draft / "test").mkdir(parents=True)
        for split, rows in splits.items():
            file = draft / ("test/test.jsonl" if split == "test" else f"{split}.jsonl")
            write_text(file, "".join(lines_of(rows)))
        draft.rename(place)
    return digests, data.main_metric


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


def _together(digests: Mapping[str, str]) -> str:
    return hashlib.blake2b(json.dumps(digests, sort_keys=True).encode(), digest_size=8).hexdigest()
