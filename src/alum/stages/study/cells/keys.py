"""Keys of cells: digests of all that their outcome depends on, and nothing else."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from alum.core.errors import InputError
from alum.stages.runs.folder import AUTO
from alum.stages.study.settings import PLACES, Settings

_Made = TypeVar("_Made")

SAVE_MINUTES = 10.0
"""Minutes of a training that a study loses at most when it is killed."""

# Nothing that these change is in a model.
_WITHOUT_EFFECT = {"report_to", "disable_tqdm", "per_device_eval_batch_size", "dataset_name", "dataset_config_name"}
_WITHOUT_EFFECT |= {"save_total_limit", "save_minutes", "run_name", "project", "log_level", "validation_share"}
_WITHOUT_EFFECT |= {"preprocessing_num_workers"}


def key_of(what: Mapping[str, Any]) -> str:
    """Key of a cell by what its outcome depends on."""
    return hashlib.blake2b(json.dumps(what, sort_keys=True, default=str).encode(), digest_size=12).hexdigest()


def telling(settings: Settings, *dataclasses_of_stage: type) -> dict[str, Any]:
    """Settings that tell trainings apart: no defaults of the stage, no places, and nothing without effect."""
    defaults = _defaults(dataclasses_of_stage)
    return {
        name: float(value) if type(value) is int else value  # 2 epochs are 2.0
        for name, value in settings.items()
        if name not in PLACES | _WITHOUT_EFFECT and (name == "adv_method" or value != defaults[name])
    }


def stage_settings(of: type[_Made], given: Mapping[str, Any], where: str) -> _Made:
    """Makes settings of a stage; raises `InputError`, with the place that they are of, where they cannot be used."""
    try:
        return of(**given)
    except (ValueError, TypeError) as error:
        raise InputError(f"{where}: {error}") from None


def training_settings(of: type[_Made], settings: Settings, output_dir: str, seed: int, where: str) -> _Made:
    """Makes the Trainer's settings of a cell, quiet, with counted FLOPs, and going on with what a stop has left.

    Raises as `stage_settings` does.
    """
    names = field_names(of)
    given = {name: value for name, value in settings.items() if name in names}
    saved = given.get("eval_strategy", "no") if given.get("load_best_model_at_end") else "no"
    quiet = {"save_strategy": saved, "save_minutes": SAVE_MINUTES, "disable_tqdm": True, "count_flops_every": 10}
    own = {"output_dir": output_dir, "seed": seed, "resume_from_checkpoint": AUTO}
    return stage_settings(of, {**quiet, **given, **own}, where)


def field_names(dataclass_of_stage: type) -> set[str]:
    return {one.name for one in dataclasses.fields(dataclass_of_stage)}


@cache
def _defaults(dataclasses_of_stage: tuple[type, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for of in dataclasses_of_stage:
        for one in dataclasses.fields(of):
            factory = one.default_factory
            found[one.name] = factory() if factory is not dataclasses.MISSING else one.default
    return found
