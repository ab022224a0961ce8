"""A run's folder: opened only when that loses nothing, with the settings and versions of the run in it."""

import dataclasses
import importlib.metadata
import json
import os
import platform
import re
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from transformers.trainer_utils import get_last_checkpoint

import alum
from alum.core.errors import InputError

PACKAGES = ("torch", "transformers", "accelerate", "datasets", "tokenizers", "numpy", "scikit-learn")


def check_run_folder(
    output_dir: str | None, overwrite: bool = False, resume_from: str | None = None
) -> tuple[Path, str | None]:
    """The folder of a run, still untouched, and the checkpoint to resume from.

    ``resume_from`` is a checkpoint's folder, or ``"true"`` for the last one in ``output_dir``. A folder that holds
    anything is refused with `InputError`, unless the run is resumed or ``overwrite`` is set.
    """
    if not output_dir:
        raise InputError("no folder for the run: give --output_dir.")
    folder = Path(output_dir)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"output_dir {folder} is a file: name a folder.")
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise InputError(f"output_dir {folder} cannot be made: {nearest} is no folder that can be written to.")
    if resume_from and resume_from.lower() != "false":
        return folder, _checkpoint(folder, resume_from)
    if _holds_anything(folder) and not overwrite:
        raise InputError(
            f"output_dir {folder} already holds a run or other files, and nothing was changed. Go on with it by "
            "--resume_from_checkpoint true, start anew by --overwrite_output_dir, or name another folder."
        )
    return folder, None


def open_run_folder(
    output_dir: str | None, overwrite: bool = False, resume_from: str | None = None
) -> tuple[Path, str | None]:
    """As `check_run_folder`, and the folder is made. With ``overwrite`` the old one is moved aside, not deleted."""
    folder, checkpoint = check_run_folder(output_dir, overwrite, resume_from)
    if checkpoint is None and _holds_anything(folder):
        former = _free_name(folder)
        folder.rename(former)
        print(f"The folder that was there is now {former}.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"output_dir {folder} cannot be made: {error.strerror}.") from None
    return folder, checkpoint


def write_json(path: Path, value: Any) -> None:
    """Writes a record whole or not at all: to a file beside it, which then takes its name."""
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(json.dumps(value, indent=2, default=_plain) + "\n", encoding="utf-8")
    os.replace(draft, path)


def write_settings(folder: Path, command: str, **settings: Any) -> None:
    """``run.json``: the command, every setting as resolved, and the versions."""
    resolved = {name: _settings(value) for name, value in settings.items()}
    write_json(folder / "run.json", {"command": command, **resolved, "environment": environment()})


def environment() -> dict[str, Any]:
    """Versions and machine, as records keep them."""
    return {
        "alum": alum.__version__,
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _checkpoint(folder: Path, resume_from: str) -> str:
    if resume_from.lower() == "true":
        last = get_last_checkpoint(str(folder)) if folder.is_dir() else None
        if last is None:
            raise InputError(f"no checkpoint to resume from in {folder}: expected a folder named checkpoint-N there.")
        return str(last)
    if not (Path(resume_from) / "trainer_state.json").is_file():
        raise InputError(f"{resume_from} is no checkpoint: expected a folder named checkpoint-N with its state.")
    return resume_from


def _holds_anything(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _free_name(folder: Path) -> Path:
    number = 1
    while (former := folder.with_name(f"{folder.name}.old-{number}")).exists():
        number += 1
    return former


def _settings(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    return {k: v for k, v in value.items() if not re.search("token$", k)} if isinstance(value, dict) else value


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else str(value)
