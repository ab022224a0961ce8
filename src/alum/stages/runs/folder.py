"""Folders of runs: opened only when that loses nothing, with the settings and versions of the run in them."""

import dataclasses
import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import torch

from alum.core.errors import InputError
from alum.data.files import read_json_object
from alum.data.writing import draft_of, holds_only_drafts, write_text
from alum.stages.runs.environment import environment
from alum.training.checkpoints import MANIFEST, STATE, checkpoints_in, damage, newest_whole_checkpoint

logger = logging.getLogger(__name__)

_MAY_CHANGE = {"cache_dir", "max_eval_samples"}
RECORDS = ("run.json", "metrics.jsonl")  # of a run that has just begun
_MAY_CHANGE_IN_EVALUATION = {"overwrite_output_dir", "per_device_eval_batch_size", "num_examples"}


def check_run_folder(output_dir: str | None, overwrite: bool = False, resume_from: str | None = None) -> Path:
    """Checks that a run can use its folder, which is left untouched, and returns its path.

    ``resume_from`` is a checkpoint's folder, or ``"true"`` for the newest whole one in ``output_dir``. A folder that
    holds anything is refused with `InputError`, unless the run is resumed or ``overwrite`` is set.
    """
    if not output_dir:
        raise InputError("no folder for the run: give --output_dir.")
    folder = Path(output_dir)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"output_dir {folder} is a file: name a folder.")
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise InputError(f"output_dir {folder} cannot be made: {nearest} is no folder that can be written to.")
    if _resumes(resume_from):
        _check_resumable(folder, str(resume_from))
    elif _holds_anything(folder) and not overwrite:
        raise InputError(
            f"output_dir {folder} already holds a run or other files, and nothing was changed. Go on with it by "
            "--resume_from_checkpoint true, start anew by --overwrite_output_dir, or name another folder."
        )
    return folder


def open_run_folder(
    output_dir: str | None, overwrite: bool = False, resume_from: str | None = None
) -> tuple[Path, str | None]:
    """Makes a run's folder, and finds the checkpoint to resume from, None for a run from the beginning.

    Checks as `check_run_folder` does. With ``overwrite`` the old folder is moved aside, not deleted. Damaged
    checkpoints are passed over with a warning; raises `InputError` where no other is left. Of several processes the
    first does this, and the others are told the outcome.
    """
    opened = _opened(output_dir, overwrite, resume_from)
    return opened.folder, opened.checkpoint


@contextmanager
def opened_run_folder(
    output_dir: str | None, overwrite: bool, resume_from: str | None, has_begun: Callable[[], bool]
) -> Iterator[tuple[Path, str | None]]:
    """Opens a run's folder as `open_run_folder` does, and undoes that where the run fails before it ``has_begun``.

    The corrected call is then not refused for the records of a run that never was. Files of others there are left.
    """
    opened = _opened(output_dir, overwrite, resume_from)
    is_new = not _holds_anything(opened.folder)
    try:
        yield opened.folder, opened.checkpoint
    except BaseException:
        if is_new and _is_first_process() and not has_begun():
            _undo(opened)
        raise


@dataclass(frozen=True)
class _Opened:
    folder: Path
    checkpoint: str | None
    was_there: bool
    former: Path | None
    """Where a folder that was there before has been moved to."""


def _undo(opened: _Opened) -> None:
    for name in RECORDS:
        (opened.folder / name).unlink(missing_ok=True)
        draft_of(opened.folder / name).unlink(missing_ok=True)  # of a run before it, killed in its first write
    if any(opened.folder.iterdir()) or (opened.was_there and opened.former is None):
        return
    opened.folder.rmdir()
    if opened.former is not None:
        opened.former.rename(opened.folder)
        print(f"Nothing was begun: {opened.former} is {opened.folder} again.")


def _opened(output_dir: str | None, overwrite: bool, resume_from: str | None) -> _Opened:
    opened: list[Any] = [None]
    if _is_first_process():
        try:
            opened = [_open(output_dir, overwrite, resume_from)]
        except InputError as error:
            opened = [error]
    if torch.distributed.is_initialized():
        torch.distributed.broadcast_object_list(opened)
    if isinstance(opened[0], InputError):
        raise opened[0]
    assert isinstance(opened[0], _Opened)
    return opened[0]


def _open(output_dir: str | None, overwrite: bool, resume_from: str | None) -> _Opened:
    folder = check_run_folder(output_dir, overwrite, resume_from)
    was_there, former = folder.exists(), None
    if resume_from and _resumes(resume_from):
        checkpoint = _newest_checkpoint(folder) if resume_from.lower() == "true" else resume_from
    else:
        checkpoint = None
        if _holds_anything(folder):
            former = _free_name(folder)
            folder.rename(former)
            print(f"The folder that was there is now {former}.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"output_dir {folder} cannot be made: {error.strerror}.") from None
    return _Opened(folder, checkpoint, was_there, former)


def check_same_settings(folder: Path, resume_from: str | None, **settings: Any) -> None:
    """Checks that a resumed run has the settings of its ``run.json``; raises `InputError` where they differ."""
    if _resumes(resume_from):
        _check_unchanged(folder, settings, _MAY_CHANGE)


def _check_unchanged(folder: Path, settings: Mapping[str, Any], may_change: Set[str]) -> None:
    former = settings_of(folder)
    now = json.loads(json.dumps({name: _settings(value) for name, value in settings.items()}, default=_plain))
    changed = [
        f"{name} was {former[group][name]!r} and is {value!r}"
        for group, values in now.items()
        for name, value in values.items()
        if name in former.get(group, {}) and former[group][name] != value and name not in may_change
    ]
    if changed:
        raise InputError(
            f"the run in {folder} cannot go on with other settings: {'; '.join(changed)}. Give those that it began "
            "with, or start another run in another folder."
        )


@contextmanager
def opened_or_resumed(
    output_dir: str, overwrite: bool, command: str, has_begun: Callable[[], bool], **settings: Any
) -> Iterator[Path]:
    """Opens the folder of a run without checkpoints, and resumes where the same run was begun in it before.

    Undone as in `opened_run_folder` where the run fails before it ``has_begun``. Raises `InputError` for a folder that
    holds something else, such as a run with other settings, unless ``overwrite`` is set.
    """
    folder = Path(output_dir)
    if not overwrite and settings_of(folder).get("command") == command:
        _check_unchanged(folder, settings, _MAY_CHANGE_IN_EVALUATION)
        yield folder
        return
    if _holds_anything(folder) and not overwrite:
        raise InputError(
            f"output_dir {folder} already holds what this command has not begun, and nothing was changed. Name "
            "another folder, or have this one moved aside by --overwrite_output_dir."
        )
    with opened_run_folder(output_dir, overwrite, None, has_begun) as (folder, _):
        write_settings(folder, command, **settings)
        yield folder


def settings_of(folder: Path) -> dict[str, Any]:
    """Reads what `write_settings` recorded of a run; empty where there is no record."""
    record = folder / "run.json"
    return read_json_object(record) if record.is_file() else {}


def write_json(path: Path, value: Any) -> None:
    """Writes a record as JSON, whole or not at all, in the first process only; raises `InputError` on a full disk."""
    if _is_first_process():
        write_text(path, json.dumps(value, indent=2, default=_plain) + "\n")


def write_settings(folder: Path, command: str, **settings: Any) -> None:
    """Writes ``run.json``: the command, every setting as resolved, and the versions."""
    resolved = {name: _settings(value) for name, value in settings.items()}
    write_json(folder / "run.json", {"command": command, **resolved, "environment": environment()})


def _is_first_process() -> bool:
    return not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0


def _resumes(resume_from: str | None) -> bool:
    return bool(resume_from) and str(resume_from).lower() != "false"


def _check_resumable(folder: Path, resume_from: str) -> None:
    if resume_from.lower() == "true":
        is_run = checkpoints_in(folder) or (folder / "run.json").is_file()
        if _holds_anything(folder) and not is_run:
            raise InputError(f"no checkpoint to resume from in {folder}: expected a folder named checkpoint-N there.")
        return
    checkpoint = Path(resume_from)
    if not (checkpoint / STATE).is_file():
        raise InputError(f"{resume_from} is no checkpoint: expected a folder named checkpoint-N with its state.")
    if (checkpoint / MANIFEST).exists() and (fault := damage(checkpoint)):
        raise InputError(
            f"the checkpoint {resume_from} is damaged: {fault}. Name another, or take the newest whole one by "
            "--resume_from_checkpoint true."
        )


def _newest_checkpoint(folder: Path) -> str | None:
    newest = newest_whole_checkpoint(folder)
    if newest is not None:
        return str(newest)
    if present := checkpoints_in(folder):
        raise InputError(
            f"no checkpoint in {folder} is whole: of {present[-1].name}, {damage(present[-1])}. Start anew by "
            "--overwrite_output_dir. One that another program wrote, without a manifest, can be gone on from by name."
        )
    logger.warning("There is no checkpoint in %s yet: the run starts from the beginning.", folder)
    return None


def _holds_anything(folder: Path) -> bool:
    return folder.is_dir() and not holds_only_drafts(folder)


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
