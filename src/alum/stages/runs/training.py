"""Training of a run, with its records, its console, its checkpoints and its clean stop; it goes on where it ended."""

import dataclasses
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, TypeVar

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from alum.core.errors import InputError
from alum.data.files import read_json_object
from alum.data.visible_text import counted
from alum.stages.runs.config import StageConfig, explained_settings
from alum.stages.runs.folder import (
    METRICS,
    RECORDS,
    RUN,
    is_newest,
    opened_run_folder,
    settings_of,
    write_json,
    write_settings,
)
from alum.stages.runs.stopping import Interrupted
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
from alum.training.callbacks import (
    BEGIN_AGAIN,
    TIME_IS_OVER,
    Diverged,
    MetricsFile,
    SaveAfterEvaluation,
    SaveEveryMinutes,
    StopCleanly,
    StopWhereDiverged,
)
from alum.training.checkpoints import STATE, is_model_only, misfit, set_later_ones_aside, strict_json
from alum.training.records.console import use_own_console
from alum.training.records.flops import SampledFlops
from alum.training.trainer import AlumTrainer

logger = logging.getLogger(__name__)

RESULTS, CARD = "results.json", "README.md"
_WEIGHTS = (".safetensors", ".bin")

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class TrainingCost:
    """Steps, seconds and FLOPs of the training alone, also of the steps before a checkpoint that it went on from.

    ``train_flops`` is estimated from counted steps; None if none were counted.
    """

    num_steps: int
    train_seconds: float
    train_flops: float | None


class LoggedGain(TypedDict):
    """Adversarial gain that was logged at a step of training.

    ``gain`` is None where the divergence is below rounding (`alum.core.outputs.rounding.ROUNDING_NATS`), or the random
    perturbations moved nothing at all. ``divergence`` is that at the adversary's δ, a mean over the step, and
    ``strength`` its share of what more steps of ascent from δ on reach, None where that was not measured.
    """

    step: int
    gain: float | None
    divergence: float
    strength: float | None


def first_and_last_gain(history: Iterable[Mapping[str, Any]]) -> tuple[LoggedGain | None, LoggedGain | None]:
    """Finds the first and the last gain in the logs of a training; None without one, as without an adversary."""
    found = [_logged_gain(logs) for logs in history if _is_finite(logs.get("divergence"))]
    return (found[0], found[-1]) if found else (None, None)


def _logged_gain(logs: Mapping[str, Any]) -> LoggedGain:
    gain = logs.get("adversarial_gain")
    return LoggedGain(
        step=logs["step"],
        gain=gain if _is_finite(gain) else None,
        divergence=logs["divergence"],
        strength=logs.get("adversarial_strength"),
    )


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)  # a state that was read has null for what is not


# -- runs that go on ---------------------------------------------------------------------------------------------------


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
    if _is_in(folder, Path(checkpoint)):
        raise InputError(
            f"there is no {RUN} in {folder}, so that the settings cannot be compared with those that the run began "
            "with: put it back, or start anew by --overwrite_output_dir."
        )
    logger.warning("%s comes without %s: whether its settings were those given now is not known.", checkpoint, RUN)
    return {}


def _is_in(folder: Path, checkpoint: Path) -> bool:
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


# -- training ----------------------------------------------------------------------------------------------------------


class _Begin(TrainerCallback):
    """Trainer callback that calls a function when training begins, with the checkpoint loaded."""

    def __init__(self, begin: Callable[[], None]) -> None:
        self._begin = begin
        self.has_begun = False

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.has_begun = True
        self._begin()


def train(
    trainer: AlumTrainer,
    config: StageConfig,
    folder: Path,
    checkpoint: str | None = None,
    write_record: Callable[[], None] | None = None,
) -> TrainingCost:
    """Trains to the end and saves the records; raises `Interrupted` if stopped before, with a checkpoint written.

    Resumes from ``checkpoint`` if one is given: when it has been loaded, ``write_record`` is called, later checkpoints
    in ``folder`` are set aside, and later logs dropped.
    """

    def begin() -> None:
        if write_record is not None:
            write_record()
            trainer.records = (folder / RUN,)
        if trainer.is_world_process_zero():
            set_later_ones_aside(folder, None if checkpoint is None else Path(checkpoint))
            if checkpoint is not None and _is_in(folder, Path(checkpoint)):
                trainer.rotate(folder / Path(checkpoint).name)  # what the process that wrote it was killed before

    stop, console, beginning = StopCleanly(config.max_minutes), use_own_console(trainer), _Begin(begin)
    flops = SampledFlops(config.count_flops_every) if config.count_flops_every else None
    minutes = None if config.save_minutes is None else SaveEveryMinutes(config.save_minutes)
    records = (beginning, MetricsFile(folder / METRICS), StopWhereDiverged())
    for callback in (*records, stop, minutes, SaveAfterEvaluation(), flops):
        if callback is not None:
            trainer.add_callback(callback)
    start = time.perf_counter()
    try:
        with explained_settings(lambda: beginning.has_begun):
            trainer.train(resume_from_checkpoint=checkpoint)
    finally:  # where training failed
        stop.give_back()
        console.close()
    seconds = trainer.seconds_before + time.perf_counter() - start
    if stop.stopped_at_step is not None:
        raise _interrupted(stop, config, trainer.state.max_steps, folder)
    _check_finite(trainer)
    _save_state(trainer)
    # The Trainer makes callbacks anew where it restores them from a checkpoint.
    counted = [one.total for one in trainer.callback_handler.callbacks if isinstance(one, SampledFlops)]
    return TrainingCost(trainer.state.global_step, seconds, counted[0] if counted else None)


def _interrupted(stop: StopCleanly, config: StageConfig, max_steps: int, folder: Path) -> Interrupted:
    why = f" after {config.max_minutes} minutes (max_minutes)" if stop.exit_code == TIME_IS_OVER else ""
    is_same = is_newest(config.resume_from_checkpoint)
    return Interrupted(
        f"stopped at step {stop.stopped_at_step} of {max_steps}{why}; the checkpoint is in "
        f"{folder / f'checkpoint-{stop.stopped_at_step}'}. "
        f"{'The same command goes on.' if is_same else 'Go on with --resume_from_checkpoint true.'}",
        stop.exit_code,
    )


def _check_finite(trainer: AlumTrainer) -> None:
    """Raises `Diverged` where the trained weights are no numbers: what they answer would be scored as if it were."""
    assert trainer.model is not None, "the Trainer was made with a model"
    if not all(bool(weight.isfinite().all()) for weight in trainer.model.parameters()):
        steps = counted(trainer.state.global_step, "step")
        raise Diverged(f"after {steps} the weights are no numbers: training has diverged. {BEGIN_AGAIN}")


def _save_state(trainer: AlumTrainer) -> None:
    """Saves the Trainer's state, without what callbacks keep to go on: whether there were checkpoints does not show.

    Of the best checkpoint it has the name, not its place on this machine.
    """
    trainer.state.stateful_callbacks = {}  # type: ignore[assignment]
    if best := trainer.state.best_model_checkpoint:
        trainer.state.best_model_checkpoint = Path(best).name
    trainer.save_state()
    if trainer.args.should_save:
        strict_json(Path(str(trainer.args.output_dir)) / STATE)
