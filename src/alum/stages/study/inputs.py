"""Inputs of a study: digests of its rows, texts and models, by which its cells know them wherever they lie."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alum.core.errors import InputError
from alum.data.writing import write_text
from alum.stages.pretraining.arguments import PretrainArguments
from alum.stages.pretraining.texts import find_texts, text_corpus
from alum.stages.runs.folder import ALL_RECORDS
from alum.stages.study.cells.keys import field_names, stage_settings
from alum.stages.study.kept_rows import digest_of, keep_rows, place_of_rows
from alum.stages.study.settings import PRETRAIN, Settings, Study, placed, texts_in

DATA, INPUTS = "data", "inputs.json"
_MODEL_FILES = ("*.json", "*.safetensors", "*.bin", "*.txt", "*.model")


@dataclass(frozen=True)
class StudyInputs:
    """Digests by which cells know their data and models, wherever these lie.

    ``tasks`` have a digest for each split and further suite, ``models`` one for each path or id; ``main_metrics`` are
    by task. ``texts`` has digests of those to pre-train on and to choose by, ``held_out`` of those to measure on by
    name.
    """

    folder: Path
    tasks: Mapping[str, Mapping[str, str]]
    models: Mapping[str, str]
    main_metrics: Mapping[str, str]
    texts: Mapping[str, str] = field(default_factory=dict)
    held_out: Mapping[str, str] = field(default_factory=dict)

    def data_dir(self, task: str) -> Path:
        """Folder with the rows to train on and to choose by; those to measure on are `test_file`."""
        return self.folder / DATA / place_of_rows(self.tasks[task])

    def test_file(self, task: str) -> Path:
        return self.data_dir(task) / "test" / "test.jsonl"

    def test_rows(self, task: str, settings: Settings) -> dict[str, Any]:
        """Settings of an evaluation that name a task's rows to measure on, and to attack, and its further suites."""
        folder, named = self.data_dir(task) / "suites", settings.get("task")
        further = [f"{suite}={folder / suite}.jsonl" for suite in settings.get("suites", {})]
        columns = ("kind", "text_columns", "label_column", "choice_columns", "max_seq_length")
        found = {name: settings[name] for name in columns if name in settings}
        if named is not None:
            return {**found, "suites": [f"{named}={self.test_file(task)}", *further], "attacked_suites": [named]}
        file = self.test_file(task)
        return {**found, "suites": further, "validation_file": str(file), "attacked_suites": [file.stem]}

    def write(self) -> None:
        names = ("tasks", "models", "main_metrics", "texts", "held_out")
        found = {name: getattr(self, name) for name in names}
        write_text(self.folder / INPUTS, json.dumps(found, indent=2, sort_keys=True) + "\n")


def known_inputs(folder: Path) -> StudyInputs:
    """Reads what a study's folder knows of its inputs; nothing where it has not begun."""
    file = folder / INPUTS
    found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    names = ("tasks", "models", "main_metrics", "texts", "held_out")
    return StudyInputs(folder, *(found.get(name, {}) for name in names))


def inputs_of(study: Study, folder: Path) -> StudyInputs:
    """Loads the rows of a study's tasks into its folder, and takes digests of them, of its texts and of its models.

    Rows and texts that are no longer where they were are taken as the folder knows them. Raises `InputError` for what
    is missing, cannot be used, or has other content than the study began with.
    """
    known = known_inputs(folder)
    tasks, metrics = dict(known.tasks), dict(known.main_metrics)
    for name, settings in study.tasks.items():
        try:
            digests, metrics[name] = keep_rows(name, placed(settings), folder / DATA)
        except InputError:
            if name not in known.tasks:
                raise
            continue
        if known.tasks.get(name, digests) != digests:
            raise InputError(f"the rows of task {name} are not those that the study in {folder} began with.")
        tasks[name] = digests
    models = dict(known.models)
    for path in sorted(_models(study)):
        place = placed({"model_name_or_path": path})["model_name_or_path"]
        if Path(place).is_dir() or path not in models:
            digest = model_digest(place)
            if models.setdefault(path, digest) != digest:
                raise InputError(f"{path} is not the model that the study in {folder} began with.")
    texts, held_out = _texts(study, known) if study.pretraining else ({}, {})
    for name, digest in (*texts.items(), *held_out.items()):
        if {**known.texts, **known.held_out}.get(name, digest) != digest:
            raise InputError(f"pretraining: the text {name} is not that which the study in {folder} began with.")
    inputs = StudyInputs(folder, tasks, models, metrics, texts, {**known.held_out, **held_out})
    inputs.write()
    return inputs


def model_digest(path: str) -> str:
    """Digest of a model's files, without their place; of an id of the hub, the id."""
    folder = Path(path)
    if not folder.is_dir():
        return f"hub:{path}"
    digest = hashlib.blake2b(digest_size=16)
    records = {folder / name for name in ALL_RECORDS}
    for file in sorted({file for form in _MODEL_FILES for file in folder.glob(form)} - records):
        digest.update(file.name.encode())
        with file.open("rb") as opened:
            while block := opened.read(2**20):
                digest.update(block)
    return digest.hexdigest()


def _models(study: Study) -> set[str]:
    before = [arm.get(PRETRAIN, {}) for arm in study.arms.values()]
    found = {
        settings["model_name_or_path"]
        for settings in (*study.tasks.values(), *study.arms.values(), study.pretraining, *before)
        if "model_name_or_path" in settings
    }
    if tokenizer := study.pretraining.get("tokenizer_name"):
        found.add(tokenizer)
    grids = [one for grid in study.search.values() for one in (grid, grid.get(PRETRAIN, {}))]
    return found | {path for grid in grids for path in grid.get("model_name_or_path", ())}


def _texts(study: Study, known: StudyInputs) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Digests of the texts to train on and to choose by, and of those to measure on by name."""
    fields = field_names(PretrainArguments)
    try:
        given = {name: value for name, value in placed(study.pretraining).items() if name in fields}
        arguments = stage_settings(PretrainArguments, given, "pretraining")
        found = find_texts(arguments)
        files = texts_in(placed(study.pretraining))
        held_out = {name: text_corpus(file, arguments).fingerprint for name, file in files.items()}
    except InputError as error:
        if known.texts and study.texts.keys() <= known.held_out.keys():
            return known.texts, known.held_out
        raise InputError(f"pretraining: {error}") from None
    validation = sorted(corpus.fingerprint for corpus in found.validation.values())
    texts = {"train": [corpus.fingerprint for corpus in found.train], "validation": validation}
    return {name: digest_of(digests) for name, digests in texts.items()}, held_out
