"""Training steps of one model in fp32, and under bf16 and fp16 autocast, on the same rows with the same noise."""

import dataclasses
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from alum.core.method_settings import Method
from alum.core.methods import METHODS
from alum.core.objective import AlumResult
from alum.training.step import AlumStep
from benchmarks.directions import Subject

PRECISIONS: dict[str, torch.dtype | None] = {
    "fp32": None,
    "bf16 autocast": torch.bfloat16,
    "fp16 autocast": torch.float16,
}
EPSILON = 0.03
_ONE_LENGTH = {
    "epsilon_unit": "relative",
    "norm": "l2",
    "scope": "token",
    "projection": "ball",
    "step_rule": "normalized",
    "step_size": 1.0,
}
_LEAST_START = 0.1
_FIRST_SCALE, _LEAST_SCALE = 2.0**16, 2.0**-4


def settings_of(row: Method) -> dict[str, Any]:
    """Settings by which each method's δ is equally long, relative to the embeddings.

    `standard` and `r_drop` perturb nothing, and the radius of `adv_softmax` is not at x: they stay as they are. In
    evaluation mode `r_drop` has no masks to differ by either; its divergence is zero in every precision.
    """
    if row.alpha == 0 or row.is_for_language_models or (row.num_steps == 0 and row.init_std == 0):
        return {}
    settings: dict[str, Any] = {"epsilon": EPSILON}
    if row.epsilon_unit == "absolute" or row.norm != "l2":
        settings |= _ONE_LENGTH
    if row.num_steps == 0:
        settings["projection"] = "rescale"  # no step takes noise to the radius
    if row.ascent == "divergence" and row.num_steps > 0 and row.init_std < _LEAST_START:
        settings["init_std"] = METHODS["alum"].init_std  # a divergence to ascend that is more than rounding
    return settings


def perturbs_input(row: Method) -> bool:
    return bool(settings_of(row))


def autocast(device: torch.device, precision: str) -> torch.autocast:
    dtype = PRECISIONS[precision]
    return torch.autocast(device.type, dtype or torch.bfloat16, enabled=dtype is not None)


class Backward:
    """Back-propagates a loss as loops do, outside of autocast, and in fp16 by the scale of a `GradScaler`.

    That begins at 65,536 and is halved whenever gradients are not finite, as in training, where such a step is left
    out; here it is taken again.
    """

    def __init__(self, device: torch.device, precision: str) -> None:
        self._device = device
        is_scaled = precision == "fp16 autocast"
        self._scaler = torch.amp.GradScaler(device.type, init_scale=_FIRST_SCALE, enabled=is_scaled)
        self.num_overflows = 0

    def __call__(self, loss: Tensor) -> None:
        with torch.autocast(self._device.type, enabled=False):
            self._scaler.scale(loss).backward()

    @property
    def scale(self) -> float:
        return self._scaler.get_scale()

    def halves_scale(self) -> bool:
        """Whether there is a scale that can still be halved, which then it is."""
        if not self._scaler.is_enabled() or self.scale <= _LEAST_SCALE:
            return False
        self._scaler.update(self.scale / 2)
        self.num_overflows += 1
        return True


@dataclass(frozen=True)
class Steps:
    """Results of a step on each batch, the gradient of all weights in each, and how often gradients overflowed."""

    results: list[AlumResult]
    gradients: list[Tensor]
    num_overflows: int
    scale: float

    def cosine(self, reference: "Steps") -> float:
        """Least cosine of a batch's gradient to that of other steps."""
        pairs = zip(self.gradients, reference.gradients, strict=True)
        return min(float(torch.cosine_similarity(own.double(), other.double(), dim=0)) for own, other in pairs)

    def figures(self) -> dict[str, Any]:
        found = [result.diagnostics for result in self.results if result.diagnostics is not None]
        divergence, noise = (
            statistics.mean(float(getattr(each, name)) for each in found) if found else None
            for name in ("divergence", "noise_divergence")
        )
        return {
            "task_loss": statistics.mean(float(result.task_loss) for result in self.results),
            "adversarial_loss": statistics.mean(float(result.adversarial_loss) for result in self.results),
            "divergence": divergence,
            "gain": divergence / noise if divergence is not None and noise else None,
            "gradient_norm": statistics.mean(float(gradient.double().norm()) for gradient in self.gradients),
            "finite": all(bool(gradient.isfinite().all()) for gradient in self.gradients),
            "skipped": statistics.mean(float(result.skipped) for result in self.results),
            "num_overflows": self.num_overflows,
            "loss_scale": self.scale,
        }


def steps_in(subject: Subject, method: str, precision: str, num_gain_draws: int) -> Steps:
    """A step on each batch, in evaluation mode: nothing is drawn but the noise of δ, from the same seed each time."""
    model = subject.model.eval()
    device, row = next(model.parameters()).device, METHODS[method]
    backward = Backward(device, precision)
    step = AlumStep(model, method, backward=backward, **settings_of(row))
    draws = num_gain_draws if perturbs_input(row) else 0

    def one_step(step: AlumStep, batch: Mapping[str, Tensor], seed: int) -> tuple[AlumResult, Tensor]:
        torch.manual_seed(seed)
        model.zero_grad()
        with autocast(device, precision):
            result = step(batch, num_gain_draws=draws)
        return dataclasses.replace(result, loss=result.loss.detach(), delta=None), gradient_of(model) / backward.scale

    results, gradients = [], []
    for index, batch in enumerate(subject.batches):
        result, gradient = one_step(step, batch, index)
        while not gradient.isfinite().all() and backward.halves_scale():
            result, gradient = one_step(step, batch, index)
        results.append(result)
        gradients.append(gradient)
    model.zero_grad()
    return Steps(results, gradients, backward.num_overflows, backward.scale)


def gradient_of(model: nn.Module) -> Tensor:
    """Of all weights in one vector; zeros where there is none."""
    return torch.cat(
        [(torch.zeros_like(p) if p.grad is None else p.grad).detach().float().flatten() for p in model.parameters()]
    )
