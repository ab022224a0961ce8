"""Cells of a study and the ledger of finished ones, found by their settings and data, not by their order."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar

from alum.core.errors import InputError
from alum.data.writing import write_text
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.config import FinetuneConfig
from alum.stages.study.inputs import StudyInputs
from alum.stages.study.settings import Settings

_Made = TypeVar("_Made", FinetuneArguments, FinetuneConfig)

CELLS, CELL = "cells", "cell.json"
_PLACES = {"data_dir", "train_file", "validation_file", "test_file", "model_name_or_path"}
# Nothing that these change is in a model.
_WITHOUT_EFFECT = {"report_to", "disable_tqdm", "per_device_eval_batch_size"}
_WITHOUT_EFFECT |= {"save_total_limit", "save_minutes", "run_name", "project", "log_level", "validation_share"}


@dataclass(frozen=True)
class Cell:
    """One training of a study, and what it is measured by.

    ``settings`` are those of fine-tuning, without seed, data and folder. Cells of a search have no ``evaluation``, so
    that rows to measure on never choose. ``task`` and ``arm`` are for messages; the ``key`` does without them.
    """

    task: str
    arm: str
    settings: Settings
    seed: int
    data: Mapping[str, str]
    model: str
    evaluation: Settings | None = field(default=None)

    @cached_property
    def key(self) -> str:
        """Digest of all that the outcome depends on: settings that are no defaults, seed, rows, model, measures."""
        data = self.data if self.evaluation is not None else {k: v for k, v in self.data.items() if k != "test"}
        what = {
            "settings": {
                name: float(value) if type(value) is int else value  # 2 epochs are 2.0
                for name, value in self.settings.items()
                if name not in _PLACES | _WITHOUT_EFFECT and (name == "adv_method" or value != _defaults()[name])
            },
            "seed": self.seed,
            "data": dict(data),
            "model": self.model,
            "evaluation": None if self.evaluation is None else dict(self.evaluation),
        }
        text = json.dumps(what, sort_keys=True, default=str)
        return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()

    def described(self) -> str:
        """Words for the cell in messages."""
        return f"{self.task}, {self.arm}, seed {self.seed}{' (search)' if self.evaluation is None else ''}"

    def check(self) -> None:
        """Raises `InputError` for settings that no training can be run with."""
        self.arguments("")
        self.config("").method()

    def arguments(self, data_dir: str) -> FinetuneArguments:
        names = {one.name for one in dataclasses.fields(FinetuneArguments)} - (_PLACES - {"model_name_or_path"})
        given = {name: value for name, value in self.settings.items() if name in names}
        return self._made(FinetuneArguments, {**given, "data_dir": data_dir})

    def config(self, output_dir: str) -> FinetuneConfig:
        names = {one.name for one in dataclasses.fields(FinetuneConfig)}
        given = {name: value for name, value in self.settings.items() if name in names}
        saved = given.get("eval_strategy", "no") if given.get("load_best_model_at_end") else "no"
        quiet = {"save_strategy": saved, "disable_tqdm": True, "count_flops_every": 10}
        return self._made(FinetuneConfig, {**quiet, **given, "output_dir": output_dir, "seed": self.seed})

    def _made(self, of: Callable[..., _Made], given: Mapping[str, Any]) -> _Made:
        try:
            return of(**given)
        except (ValueError, TypeError) as error:
            raise InputError(f"{self.task}, {self.arm}: {error}") from None


def cell_of(
    task: str, arm: str, settings: Settings, seed: int, inputs: StudyInputs, evaluation: Settings | None
) -> Cell:
    """Makes a cell, with the digests of its data and model."""
    return Cell(
        task, arm, settings, seed, inputs.tasks[task], inputs.models[settings["model_name_or_path"]], evaluation
    )


class Ledger:
    """Finished cells of a study's folder, a record each in ``cells/KEY/cell.json``, which is written last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, dict[str, Any] | None] = {}

    def place(self, key: str) -> Path:
        return self.folder / CELLS / key

    def record(self, cell: Cell) -> dict[str, Any] | None:
        """Record of a cell, None where it is not finished."""
        known = self._known.get(cell.key)
        if known is None:
            file = self.place(cell.key) / CELL
            known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
            self._known[cell.key] = known
        return known

    def add(self, key: str, record: Mapping[str, Any]) -> None:
        """Adds a finished cell: all else of it is in its place already."""
        write_text(self.place(key) / CELL, json.dumps(record, indent=2, default=str) + "\n")


@cache
def _defaults() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for of in (FinetuneConfig, FinetuneArguments):
        for one in dataclasses.fields(of):
            factory = one.default_factory
            found[one.name] = factory() if factory is not dataclasses.MISSING else one.default
    return found
