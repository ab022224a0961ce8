"""Radius of a training that is set by the divergence: followed step by step in all processes, kept in checkpoints."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState

from alum.core.objective import AlumResult
from alum.core.schedules.radius import Radius
from alum.training.records.resumed import taken_up


class RadiusControl(TrainerCallback, ExportableState):
    """Trainer callback that holds the `Radius` by which the divergence comes to ``adv_target_divergence``.

    A checkpoint has it in ``trainer_state.json``.
    """

    def __init__(self) -> None:
        self.factor = 1.0
        self.curvature: float | None = None
        self._sums: Tensor | None = None

    def state(self) -> dict[str, Any]:
        return {"args": {}, "attributes": {"factor": self.factor, "curvature": self.curvature}}

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        kept = taken_up(self, state)
        self._become(Radius(**kept) if kept else Radius())

    def add(self, result: AlumResult, scale: Tensor | float, weight: float) -> None:
        """Adds an attacked micro-batch, whose loss has the weight ``scale * weight`` in the step's."""
        share = torch.as_tensor(scale * weight, device=result.skipped.device).float()
        sums = torch.stack((result.loss_at_delta.float() * weight, share * (1 - result.skipped), share))
        self._sums = sums if self._sums is None else self._sums + sums

    def end_step(self, target: float, summed: Callable[[Tensor], Tensor], device: torch.device) -> None:
        """Sets the radius for the next step. ``summed`` adds up over the processes, all of which call this.

        It reads from the device, at a time when the objective has waited for that and not given it more to do yet.
        """
        sums = torch.zeros(3, device=device) if self._sums is None else self._sums
        loss, finite_share, share = summed(sums).tolist()
        self._sums = None
        if share > 0:  # else no row was attacked
            divergence = loss / finite_share if finite_share > 0 else None
            self._become(Radius(self.factor, self.curvature).after(divergence, target))

    def _become(self, radius: Radius) -> None:
        self.factor, self.curvature = radius.factor, radius.curvature
