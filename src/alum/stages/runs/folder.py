"""Folders of runs: opened only when that loses nothing, with the settings and versions of the run in them."""

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from alum.core.errors import InputError
from alum.data.files import read_json_object
from alum.data.values import absent_in_json, as_json
from alum.data.visible_text import print_visible
from alum.data.writing import explained_if_full, holds_only_drafts, remove_drafts, write_text
from alum.stages.first_process import is_first_process
from alum.stages.runs.environment import environment
from alum.stages.runs.unchanged import check_unchanged, plain, recorded
from alum.training.checkpoint_files import (
    STATE,
    check_readable,
    checkpoints_in,
    damage,
    give_replaced_back,
    newest_whole_checkpoint,
)

logger = logging.getLogger(__name__)

RUN, METRICS, RESULTS = "run.json", "metrics.jsonl", "results.json"
RECORDS = (RUN, METRICS)  # of a run that has just begun
ALL_RECORDS = (*RECORDS, RESULTS, STATE)
"""Records of a run, which have places on the machine and settings of the Trainer in them."""
AUTO = "auto"
_MAY_CHANGE_IN_EVALUATION = {"overwrite_output_dir", "per_device_eval_batch_size", "num_examples"}


def check_run_folder(output_dir: str | None, overwrite: bool = False, resume_from: str | None = None) -> Path:
    """Checks that a run can use its folder, which is left untouched, and returns its path.

    ``resume_from`` is a checkpoint's folder, or ``"auto"`` or ``"true"`` for the newest whole one in ``output_dir``. A
    folder that holds anything is refused with `InputError`, unless the run is resumed or ``overwrite`` is set.
    """
    if not output_dir:
        raise InputError("no folder for the run: give --output_dir.")
    folder = Path(output_dir)
    if folder.is_symlink() and not folder.exists():
        raise InputError(f"output_dir {folder} is a link that leads to nothing: name a folder.")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"output_dir {folder} is a file: name a folder.")
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise InputError(f"output_dir {folder} cannot be made: {nearest} is no folder that can be written to.")
    if resumes(resume_from):
        _check_resumable(folder, str(resume_from))
    elif _holds_anything(folder) and not overwrite:
        raise InputError(
            f"output_dir {folder} already holds a run or other files, and nothing was changed. Go on with it by "
            "--resume_from_checkpoint auto, start anew by --overwrite_output_dir, or name another folder."
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


@dataclass(frozen=True)
class OpenedRun:
    """Folder of a run, the checkpoint that it goes on from, None where it begins, and what was found of it before."""

    folder: Path
    checkpoint: str | None
    found: Any = None
    was_there: bool = False
    former: Path | None = None
    """Where a folder that was there before has been moved to."""


Look = Callable[[Path, Callable[[], str | None]], tuple[str | None, Any]]
"""Looks at the folder of a run that goes on before anything in it changes, and raises `InputError` where it cannot.

It takes the folder and a function that finds the checkpoint, and returns the checkpoint and what else was found.
"""


@contextmanager
def opened_run_folder(
    output_dir: str | None,
    overwrite: bool,
    resume_from: str | None,
    has_begun: Callable[[], bool],
    look: Look | None = None,
) -> Iterator[OpenedRun]:
    """Opens a run's folder as `open_run_folder` does, and undoes that where the run fails before it ``has_begun``.

    The corrected call is then not refused for the records of a run that never was. Files of others there are left.
    """
    opened = _opened(output_dir, overwrite, resume_from, look)
    is_new = not _holds_anything(opened.folder)
    try:
        yield opened
    except BaseException:
        if is_new and is_first_process() and not has_begun():
            _undo(opened)
        raise


def _undo(opened: OpenedRun) -> None:
    for name in RECORDS:
        (opened.folder / name).unlink(missing_ok=True)
    if any(opened.folder.iterdir()) or (opened.was_there and opened.former is None):
        return
    opened.folder.rmdir()
    if opened.former is not None:
        opened.former.rename(opened.folder)
        print_visible(f"Nothing was begun: {opened.former} is {opened.folder} again.")


def _opened(output_dir: str | None, overwrite: bool, resume_from: str | None, look: Look | None = None) -> OpenedRun:
    opened: list[Any] = [None]
    if is_first_process():
        try:
            opened = [_open(output_dir, overwrite, resume_from, look)]
        except InputError as error:
            opened = [error]
    if torch.distributed.is_initialized():
        torch.distributed.broadcast_object_list(opened)
    if isinstance(opened[0], InputError):
        raise opened[0]
    assert isinstance(opened[0], OpenedRun)
    return opened[0]


def _open(output_dir: str | None, overwrite: bool, resume_from: str | None, look: Look | None) -> OpenedRun:
    folder = check_run_folder(output_dir, overwrite, resume_from)
    was_there, checkpoint, found, former = folder.exists(), None, None, None
    if resume_from and resumes(resume_from):

        def checkpoint_found() -> str | None:
            return _newest_checkpoint(folder, resume_from) if is_newest(resume_from) else resume_from

        give_replaced_back(folder)
        checkpoint, found = (checkpoint_found(), None) if look is None else look(folder, checkpoint_found)
    else:
        if _holds_anything(folder):
            former = _moved_aside(folder)
            print_visible(f"The folder that was there is now {former}.")
    try:
        with explained_if_full(folder):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"output_dir {folder} cannot be made: {error.strerror}.") from None
    remove_drafts(folder)
    return OpenedRun(folder, checkpoint, found, was_there, former)


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
        check_unchanged(folder, settings_of(folder), recorded(settings), _MAY_CHANGE_IN_EVALUATION)
        remove_drafts(folder)
        yield folder
        return
    if _holds_anything(folder) and not overwrite:
        raise InputError(
            f"output_dir {folder} already holds what this command has not begun, and nothing was changed. Name "
            "another folder, or have this one moved aside by --overwrite_output_dir."
        )
    with opened_run_folder(output_dir, overwrite, None, has_begun) as opened:
        write_settings(opened.folder, command, **settings)
        yield opened.folder


def settings_of(folder: Path) -> dict[str, Any]:
    """Reads what `write_settings` recorded of a run; empty where there is no record."""
    record = folder / RUN
    return read_json_object(record) if record.is_file() else {}


def write_json(path: Path, value: Any) -> None:
    """Writes a record as JSON, whole or not at all, in the first process only; raises `InputError` on a full disk.

    JSON has neither NaN nor infinities: they become null, and are told.
    """
    if is_first_process():
        written = json.loads(json.dumps(value, default=plain))
        if absent := list(absent_in_json(written)):
            logger.warning("no finite number, and null in %s: %s", path, ", ".join(absent))
        write_text(path, json.dumps(as_json(written), indent=2, allow_nan=False) + "\n")


def write_settings(folder: Path, command: str, **settings: Any) -> None:
    """Writes ``run.json``: the command, every setting as resolved, and the versions."""
    write_json(folder / RUN, {"command": command, **recorded(settings), "environment": environment()})


def resumes(resume_from: str | None) -> bool:
    """Whether a run is to go on, where there is something to go on with."""
    return bool(resume_from) and str(resume_from).lower() != "false"


def is_newest(resume_from: str | None) -> bool:
    """Whether a run is to go on from the newest whole checkpoint of its folder, or begin where there is none."""
    return str(resume_from).lower() in (AUTO, "true")


def _check_resumable(folder: Path, resume_from: str) -> None:
    if is_newest(resume_from):
        is_run = checkpoints_in(folder) or (folder / RUN).is_file()
        if _holds_anything(folder) and not is_run:
            raise InputError(f"no checkpoint to resume from in {folder}: expected a folder named checkpoint-N there.")
        return
    checkpoint = Path(resume_from)
    if not (checkpoint / STATE).is_file():
        raise InputError(f"{resume_from} is no checkpoint: expected a folder named checkpoint-N with its state.")
    check_readable(checkpoint)


def _newest_checkpoint(folder: Path, resume_from: str) -> str | None:
    newest = newest_whole_checkpoint(folder)
    if newest is not None:
        return str(newest)
    if present := checkpoints_in(folder):
        raise InputError(
            f"no checkpoint in {folder} is whole: of {present[-1].name}, {damage(present[-1])}. Start anew by "
            "--overwrite_output_dir."
        )
    if resume_from.lower() != AUTO:  # which is given from the first start on
        logger.warning("There is no checkpoint in %s yet: the run starts from the beginning.", folder)
    return None


def _holds_anything(folder: Path) -> bool:
    return folder.is_dir() and not holds_only_drafts(folder)


def _moved_aside(folder: Path) -> Path:
    """Renames a folder that is to be replaced, and returns its new name; raises `InputError` where that cannot be."""
    if Path.cwd().is_relative_to(folder.resolve()):
        raise InputError(
            f"output_dir {folder} holds the folder that you are in, so that it cannot be moved: name another."
        )
    former = _free_name(folder)
    try:
        folder.rename(former)
    except OSError as error:  # a disk of its own, or a folder above that is read-only
        raise InputError(
            f"output_dir {folder} cannot be moved aside ({error.strerror}): name a folder inside, or an empty one."
        ) from None
    return former


def _free_name(folder: Path) -> Path:
    number = 1
    while (former := folder.with_name(f"{folder.name}.old-{number}")).exists():
        number += 1
    return former
