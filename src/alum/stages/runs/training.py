"""Training of a run, with its records, its console, its checkpoints and its clean stop."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from alum.data.visible_text import counted
from alum.stages.runs.config import StageConfig, explained_settings
from alum.stages.runs.folder import METRICS, RUN, is_newest
from alum.stages.runs.going_on import is_checkpoint_of
from alum.stages.runs.stopping import Interrupted
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
from alum.training.checkpoint_files import STATE, set_later_ones_aside, strict_json
from alum.training.records.console import use_own_console
from alum.training.records.flops import SampledFlops
from alum.training.trainer import AlumTrainer


@dataclass(frozen=True)
class TrainingCost:
    """Steps, seconds and FLOPs of the training alone, also of the steps before a checkpoint that it went on from.

    ``train_flops`` is estimated from counted steps; None if none were counted.
    """

    num_steps: int
    train_seconds: float
    train_flops: float | None


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
    counted_from: float | None = None,
) -> TrainingCost:
    """Trains to the end and saves the records; raises `Interrupted` if stopped before, with a checkpoint written.

    Resumes from ``checkpoint`` if one is given: when it has been loaded, ``write_record`` is called, later checkpoints
    in ``folder`` are set aside, and later logs dropped. ``max_minutes`` count from ``counted_from``, a time of
    `time.monotonic`, or else from here.
    """

    def begin() -> None:
        if write_record is not None:
            write_record()
            trainer.records = (folder / RUN,)
        if trainer.is_world_process_zero():
            set_later_ones_aside(folder, None if checkpoint is None else Path(checkpoint))
            if checkpoint is not None and is_checkpoint_of(folder, Path(checkpoint)):
                trainer.rotate(folder / Path(checkpoint).name)  # what the process that wrote it was killed before

    stop, console, beginning = StopCleanly(config.max_minutes, counted_from), use_own_console(trainer), _Begin(begin)
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
