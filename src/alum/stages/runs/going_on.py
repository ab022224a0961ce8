"""Trainings that go on: from which checkpoint, with which settings, and whether anything is left to do."""

import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from alum.core.errors import InputError
from alum.data.files import read_json_object
from alum.reports.cards.markdown import CARD
from alum.stages.runs.config import StageConfig
from alum.stages.runs.folder import (
    METRICS,
    RECORDS,
    RESULTS,
    RUN,
    is_newest,
    opened_run_folder,
    settings_of,
    write_json,
    write_settings,
)
from alum.stages.runs.unchanged import (
    AROUND_TRAINING,
    OF_SPREAD,
    check_is_record,
    check_rows_of_step,
    check_unchanged,
    differences,
    may_change,
    recorded,
)
from alum.training.checkpoint_files import STATE, is_model_only, misfit
from alum.training.trainer import AlumTrainer

logger = logging.getLogger(__name__)

_WEIGHTS = (".safetensors", ".bin")

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class TrainingRun:
    """Folder of a training, the checkpoint that it goes on from, and ``run.json`` of what it goes on with."""

    folder: Path
    checkpoint: str | None
    former: Mapping[str, Any]
    is_finished: bool
    """Whether model, records and card are those that the command asks for: nothing is left to do."""
    command: str
    settings: Mapping[str, Any]

    def write_settings(self, **found: Any) -> None:
        """Writes ``run.json``, with what else was ``found``; the run then counts as one that is not finished."""
        write_settings(self.folder, self.command, **self.settings, **found)

    def finish(self) -> None:
        """Notes in ``run.json``, when all else is on the disk, the files that belong to the finished run."""
        files = {
            path.name: path.stat().st_size if path.suffix in _WEIGHTS else None
            for path in sorted(self.folder.iterdir())
            if path.is_file() and not path.name.startswith(".") and path.name not in RECORDS
        }
        write_json(self.folder / RUN, {**settings_of(self.folder), "finished": files})

    def result(self, of: type[_Result]) -> _Result:
        """Reads the result of a finished run; raises `InputError` where another version wrote it."""
        logger.warning(
            "The run in %s was finished: nothing was left to train, and its records stay as they are.", self.folder
        )
        found = read_json_object(self.folder / RESULTS)
        if found.keys() != {one.name for one in dataclasses.fields(of)}:  # type: ignore[arg-type]
            raise InputError(
                f"{self.folder / RESULTS} was written by another version: start anew by --overwrite_output_dir."
            )
        return of(**{**found, "output_dir": str(self.folder)})  # which may have been moved


@contextmanager
def opened_training(
    trainer: AlumTrainer,
    config: StageConfig,
    command: str,
    *,
    has_prepared: Callable[[], bool] = lambda: False,
    **settings: Any,
) -> Iterator[TrainingRun]:
    """Opens the folder of a training, or of one that goes on, as `opened_run_folder` does.

    A run has begun with its first step, or where it ``has_prepared`` what it would go on with.
    Raises `InputError`, before anything is changed, where it cannot go on: with other settings, from a checkpoint of
    another model, or from one that is later than its end.
    """
    settings = {"config": config, **settings, "devices": _devices(config)}
    now = recorded(settings)

    def look(folder: Path, newest: Callable[[], str | None]) -> tuple[str | None, tuple[Mapping[str, Any], bool]]:
        if _is_finished(folder, command, now):
            return None, (settings_of(folder), True)
        checkpoint = newest()
        former = _record_of(folder, checkpoint, command, now)
        changeable = may_change(now["config"])
        if trainer.rows_follow_from_step and check_rows_of_step(folder, former, now):
            changeable = changeable | OF_SPREAD
            logger.warning(
                "The run in %s goes on with its rows spread otherwise over processes and micro-batches: each step has "
                "the rows that it would have had, but what each process draws by itself, such as dropout masks, is "
                "another from here on.",
                folder,
            )
        check_unchanged(folder, former, now, changeable)
        if checkpoint is not None:
            _check_checkpoint(Path(checkpoint), trainer, config)
        return checkpoint, (former, False)

    with opened_run_folder(
        config.output_dir,
        config.overwrite_output_dir,
        config.resume_from_checkpoint,
        has_begun=lambda: trainer.state.global_step > 0 or has_prepared(),
        look=look,
    ) as opened:
        former, is_finished = opened.found or ({}, False)
        yield TrainingRun(opened.folder, opened.checkpoint, former, is_finished, command, settings)


def _devices(config: StageConfig) -> dict[str, int]:
    """What decides, with the size of a batch on each device, how many rows a step has."""
    return {"num_processes": config.world_size, "devices_per_process": max(1, config.n_gpu)}


def _is_finished(folder: Path, command: str, now: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a run with these settings is finished, and all that it left is there."""
    try:
        record = settings_of(folder)
        check_is_record(folder / RUN, record, command, now.keys())
        read_json_object(folder / RESULTS)
    except InputError:  # which is made anew
        return False
    files = record.get("finished")
    if not isinstance(files, dict) or CARD not in files:
        return False
    if not all((folder / name).is_file() for name in (*files, METRICS)):
        return False
    if any((folder / name).stat().st_size != size for name, size in files.items() if size is not None):
        return False
    former, asked = (one["config"].get("resume_from_checkpoint") for one in (record, now))
    return (is_newest(asked) or former == asked) and not differences(record, now, AROUND_TRAINING)


def _record_of(
    folder: Path, checkpoint: str | None, command: str, now: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Any]:
    """Record of the run that a checkpoint is of, or that was begun in a folder and has none; empty without either."""
    if checkpoint is None:
        return _record_before_checkpoints(folder)
    own = Path(checkpoint) / RUN
    file = own if own.is_file() else own.parents[1] / RUN
    if file.is_file():
        record = read_json_object(file)
        check_is_record(file, record, command, now.keys())
        return record
    if is_checkpoint_of(folder, Path(checkpoint)):
        raise InputError(
            f"there is no {RUN} in {folder}, so that the settings cannot be compared with those that the run began "
            "with: put it back, or start anew by --overwrite_output_dir."
        )
    logger.warning("%s comes without %s: whether its settings were those given now is not known.", checkpoint, RUN)
    return {}


def is_checkpoint_of(folder: Path, checkpoint: Path) -> bool:
    """Whether a checkpoint lies in the folder of a run, which may have gone on from another one's."""
    return checkpoint.absolute().parent == folder.absolute()


def _record_before_checkpoints(folder: Path) -> Mapping[str, Any]:
    try:
        return settings_of(folder)
    except InputError as error:
        if (folder / RESULTS).exists():
            raise InputError(f"{error} The run cannot go on: start anew by --overwrite_output_dir.") from None
        logger.warning("%s Nothing was trained yet that would be lost: it is written anew.", error)
        return {}


def _check_checkpoint(checkpoint: Path, trainer: AlumTrainer, config: StageConfig) -> None:
    state = read_json_object(checkpoint / STATE)
    step, epoch = state["global_step"], state["epoch"] or 0
    if 0 < config.max_steps < step:
        raise InputError(
            f"{checkpoint} is of step {step}, and max_steps is {config.max_steps}: name an earlier one by "
            "--resume_from_checkpoint, or train for more steps."
        )
    if config.max_steps <= 0 and epoch > config.num_train_epochs:
        raise InputError(
            f"{checkpoint} is of epoch {epoch:g}, and num_train_epochs is {config.num_train_epochs:g}: name an earlier "
            "one by --resume_from_checkpoint, or train for more epochs."
        )
    if is_model_only(checkpoint):
        raise InputError(
            f"{checkpoint} has a model alone, without the optimizer's state (save_only_model): training cannot go on "
            "from it as if nothing had been. Begin a run of its own with it as --model_name_or_path."
        )
    if fault := misfit(checkpoint, trainer.model):
        raise InputError(f"the checkpoint {checkpoint} is of another model: {fault}. Name one of this run.")
