"""Training of a run, with its records, its console, its checkpoints and its clean stop."""

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from alum.stages.runs.config import StageConfig
from alum.stages.runs.stopping import Interrupted
from alum.training.callbacks import (
    TIME_IS_OVER,
    MetricsFile,
    SaveEveryMinutes,
    StopCleanly,
    StopWhereDiverged,
)
from alum.training.checkpoints import set_later_ones_aside
from alum.training.records.console import use_own_console
from alum.training.records.flops import SampledFlops
from alum.training.trainer import AlumTrainer


@dataclass(frozen=True)
class TrainingCost:
    """Steps, seconds and FLOPs of the training alone, in a resumed run from the checkpoint on.

    ``train_flops`` is estimated from counted steps; None if none were counted.
    """

    num_steps: int
    train_seconds: float
    train_flops: float | None


class LoggedGain(TypedDict):
    """Adversarial gain that was logged at a step of training.

    ``gain`` is None where the divergence is below rounding (`alum.core.divergences.ROUNDING_NATS`), or the random
    perturbations moved nothing at all. ``divergence`` is that at the adversary's δ, a mean over the step, and
    ``strength`` its share of what more steps of ascent from δ on reach, None where that was not measured.
    """

    step: int
    gain: float | None
    divergence: float
    strength: float | None


def first_and_last_gain(history: Iterable[Mapping[str, Any]]) -> tuple[LoggedGain | None, LoggedGain | None]:
    """Finds the first and the last gain in the logs of a training; None without one, as without an adversary."""
    found = [_logged_gain(logs) for logs in history if "divergence" in logs]
    return (found[0], found[-1]) if found else (None, None)


def _logged_gain(logs: Mapping[str, Any]) -> LoggedGain:
    gain = logs.get("adversarial_gain", math.nan)
    return LoggedGain(
        step=logs["step"],
        gain=gain if math.isfinite(gain) else None,
        divergence=logs["divergence"],
        strength=logs.get("adversarial_strength"),
    )


def train(trainer: AlumTrainer, config: StageConfig, folder: Path, checkpoint: str | None = None) -> TrainingCost:
    """Trains to the end and saves the records; raises `Interrupted` if stopped before, with a checkpoint written.

    Resumes from ``checkpoint`` if one is given: later checkpoints in ``folder`` are set aside, and later logs dropped.
    """
    stop, console = StopCleanly(config.max_minutes), use_own_console(trainer)
    trainer.add_callback(MetricsFile(folder / "metrics.jsonl"))
    trainer.add_callback(StopWhereDiverged())
    trainer.add_callback(stop)
    if config.save_minutes is not None:
        trainer.add_callback(SaveEveryMinutes(config.save_minutes))
    flops = SampledFlops(config.count_flops_every) if config.count_flops_every else None
    if flops is not None:
        trainer.add_callback(flops)
    if trainer.is_world_process_zero():
        set_later_ones_aside(folder, None if checkpoint is None else Path(checkpoint))
    start = time.perf_counter()
    try:
        trainer.train(resume_from_checkpoint=checkpoint)
    finally:  # where training failed
        stop.give_back()
        console.close()
    seconds = time.perf_counter() - start
    if stop.stopped_at_step is not None:
        why = f" after {config.max_minutes} minutes (max_minutes)" if stop.exit_code == TIME_IS_OVER else ""
        raise Interrupted(
            f"stopped at step {stop.stopped_at_step} of {trainer.state.max_steps}{why}; the checkpoint is in "
            f"{folder / f'checkpoint-{stop.stopped_at_step}'}. Go on with --resume_from_checkpoint true.",
            stop.exit_code,
        )
    trainer.save_state()
    return TrainingCost(trainer.state.global_step - stop.first_step, seconds, None if flops is None else flops.total)
