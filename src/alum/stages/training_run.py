"""One training run with its records, its console and its clean stop."""

import time
from dataclasses import dataclass
from pathlib import Path

from alum.stages.arguments import StageConfig
from alum.training.callbacks import MetricsFile, StopCleanly, use_own_console
from alum.training.flops import SampledFlops
from alum.training.trainer import AlumTrainer


class Interrupted(Exception):
    """The user stopped the run; the message says where its checkpoint is and how to go on."""


@dataclass(frozen=True)
class TrainingCost:
    """Of the training alone, and from the checkpoint on in a resumed run.

    ``train_flops`` is estimated from counted steps; None if none were counted.
    """

    num_steps: int
    train_seconds: float
    train_flops: float | None


def train(trainer: AlumTrainer, config: StageConfig, folder: Path, checkpoint: str | None = None) -> TrainingCost:
    """Trains to the end and saves the records; raises `Interrupted` after a Ctrl-C, with a checkpoint written."""
    stop = StopCleanly()
    use_own_console(trainer)
    trainer.add_callback(MetricsFile(folder / "metrics.jsonl"))
    trainer.add_callback(stop)
    flops = SampledFlops(config.count_flops_every) if config.count_flops_every else None
    if flops is not None:
        trainer.add_callback(flops)
    start = time.perf_counter()
    try:
        trainer.train(resume_from_checkpoint=checkpoint)
    finally:
        stop.give_back()  # where training failed
    seconds = time.perf_counter() - start
    if stop.stopped_at_step is not None and stop.stopped_at_step < trainer.state.max_steps:
        raise Interrupted(
            f"stopped at step {stop.stopped_at_step} of {trainer.state.max_steps}; the checkpoint is in "
            f"{folder / f'checkpoint-{stop.stopped_at_step}'}. Go on with --resume_from_checkpoint true."
        )
    trainer.save_state()
    return TrainingCost(trainer.state.global_step - stop.first_step, seconds, None if flops is None else flops.total)
