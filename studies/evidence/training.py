"""Training of an arm in a plain loop, with data in memory, and how strong its adversary was."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from alum.core.measures.pass_counts import pass_counts
from alum.training.step import AlumStep
from studies.evidence.arms import Arm

WEIGHT_DECAY, LARGEST_NORM = 0.01, 1.0


class OutOfTimeError(Exception):
    """The time that was given is over before the training is."""


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class Course:
    """What all arms of a study have in common: radius, learning rate by step from 0, precision, end of the time."""

    epsilon: float
    learning_rate: Callable[[int], float]
    autocast: bool
    deadline: float


class Training:
    """A model in training by an arm, which has its divergence or radius from the record of its ``reference``.

    ``cost_in_standard_steps`` is the number of FLOPs so far, in steps of standard training.
    """

    def __init__(
        self, model: PreTrainedModel, arm: Arm, course: Course, reference: Mapping[str, Any] | None = None
    ) -> None:
        target = None if arm.divergence_of is None or reference is None else reference["mean_divergence"]
        epsilon = course.epsilon if arm.radius_of is None or reference is None else reference["median_radius"]
        self.model, self.arm, self.course = model, arm, course
        self.step = AlumStep(model, arm.method, target_divergence=target, **arm.settings_at(epsilon))
        self.num_epochs, self.num_steps, self.seconds, self.cost_in_standard_steps = 0, 0, 0.0, 0.0
        self._first_step = AlumStep(model, "standard")
        on_cuda = model.device.type == "cuda"
        self._optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, weight_decay=WEIGHT_DECAY, fused=on_cuda)

    def epoch(self, batches: Iterable[Mapping[str, Tensor]]) -> dict[str, float]:
        """Trains on each batch once; mean losses and divergence, and median radius, of these steps."""
        self.model.train()
        start, radii = time.perf_counter(), []
        sums = torch.zeros(2, device=self.model.device)
        for batch in batches:
            if time.time() > self.course.deadline:
                raise OutOfTimeError(f"{self.arm.name}: stopped after {self.num_steps} steps.")
            radii.append(self._radius)
            sums += self._step(batch)
        task_loss, divergence = (sums / len(radii)).tolist()
        self.num_epochs += 1
        self.seconds += time.perf_counter() - start
        return {"training_loss": task_loss, "divergence": divergence, "radius": median(radii)}

    @property
    def _current_step(self) -> AlumStep:
        return self._first_step if self.num_epochs < self.arm.start_epochs else self.step

    @property
    def _radius(self) -> float:
        step = self._current_step
        moves_nothing = "epsilon" in step.method.idle_settings() or not step.method.alpha
        return 0.0 if moves_nothing else step.method.epsilon * step.radius.factor

    def _step(self, batch: Mapping[str, Tensor]) -> Tensor:
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.course.autocast):
            result = self._current_step(batch)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), LARGEST_NORM)
        for group in self._optimizer.param_groups:
            group["lr"] = self.course.learning_rate(self.num_steps)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.num_steps += 1
        self.cost_in_standard_steps += pass_counts(self._current_step.method).in_standard_steps
        return torch.stack((result.task_loss.float(), result.adversarial_loss.float()))


def strength(epochs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Mean divergence and median radius of some epochs, which controls are made to match.

    A radius that is set by the divergence is of any size while the model still predicts the same for all inputs.
    """
    return {
        "mean_divergence": mean(epoch["divergence"] for epoch in epochs),
        "median_radius": median(epoch["radius"] for epoch in epochs),
    }
