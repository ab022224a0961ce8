"""Sums and times of a training over all its steps, also those before the checkpoint that it goes on from."""

import time
from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from alum.training.mixins.base import TrainerWithAlum
from alum.training.records.resumed import taken_up


class RunSums(TrainerCallback, ExportableState):
    """Trainer callback by which checkpoints keep the sums of a training."""

    def __init__(self) -> None:
        self.sums: dict[str, Any] = {}

    def state(self) -> dict[str, Any]:
        return {"args": {}, "attributes": {"sums": self.sums}}


class WholeRunMixin(TrainerWithAlum):
    """Makes a resumed training log what an undisturbed one does, and count its loss and its time from the beginning.

    Differs from the Trainer, whose first log after a checkpoint, loss and times leave out what was before it. Steps
    from one log, evaluation or checkpoint to the next are those of ``args``, not those of the checkpoint.
    """

    seconds_before = 0.0
    """Seconds that the steps before the checkpoint took."""
    _began = 0.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_callback(RunSums())

    @property
    def _run_sums(self) -> RunSums:
        # The Trainer makes it anew where it restores callbacks from a checkpoint.
        return next(c for c in self.callback_handler.callbacks if isinstance(c, RunSums))

    def _init_training_state(self, max_steps: int, *args: Any, **kwargs: Any) -> Any:
        found = super()._init_training_state(max_steps, *args, **kwargs)
        self.state.compute_steps(self.args, max_steps)
        return found

    def _begin_training(self) -> None:
        super()._begin_training()
        self._began = time.perf_counter()
        kept = taken_up(self._run_sums, self.state)
        sums = kept["sums"] if kept else {}
        self.seconds_before = sums.get("seconds", 0.0)
        if sums:
            self._go_on_with(sums)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        self._run_sums.sums = self._sums_so_far()
        super()._save_checkpoint(model, trial)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "train_runtime" in logs and self.seconds_before:
            logs = _of_all_seconds(logs, self.seconds_before)
        super().log(logs, start_time)

    def _sums_so_far(self) -> dict[str, Any]:
        """What a checkpoint keeps; of several processes the mean, since each of them will go on with it."""
        return {
            "seconds": self.seconds_before + time.perf_counter() - self._began,
            "loss": self._mean_of_processes(self._tr_loss.reshape(1)).item(),
            "total_loss": self._total_loss_scalar,
            "last_logged_step": self._globalstep_last_logged,
            "log": self._running_log.kept(self._mean_of_processes),
        }

    def _go_on_with(self, sums: dict[str, Any]) -> None:
        self._tr_loss = torch.tensor(sums["loss"], device=self.args.device)
        self._total_loss_scalar = sums["total_loss"]
        self._globalstep_last_logged = sums["last_logged_step"]
        self._initial_global_step = 0
        self._running_log.take_up(sums["log"], self.method, self.args.device)

    def _mean_of_processes(self, values: Tensor) -> Tensor:
        if self.args.world_size == 1:
            return values
        gathered: Tensor = self.accelerator.gather(values.unsqueeze(0))
        return gathered.mean(0)


def _of_all_seconds(logs: dict[str, float], seconds_before: float) -> dict[str, float]:
    seconds = logs["train_runtime"] + seconds_before
    share = logs["train_runtime"] / seconds
    rates = {name: round(rate * share, 3) for name, rate in logs.items() if name.endswith("_per_second")}
    return {**logs, **rates, "train_runtime": round(seconds, 4)}
