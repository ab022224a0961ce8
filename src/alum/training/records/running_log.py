"""Logs of adversarial training, summed up on the device between logging steps, and a warning if it does nothing."""

import logging
import math
from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

from alum.core.divergences import ROUNDING_NATS
from alum.core.methods import Method
from alum.core.objective import AlumResult, Diagnostics

logger = logging.getLogger(__name__)

NOISE_GAIN = 1.5  # a random direction scatters around 1; the weakest true adversary that we measured has over 50
SILENT_CONTRIBUTION = 1e-6  # share of the task loss below which fp32 sums lose the adversarial term
PATIENCE = 3  # logging steps in a row before the warning
_REACTS_LITTLE = (
    "A model reacts little to its input early in training: if this goes on, set a larger adv_epsilon, or save the cost "
    "with a later adv_start_fraction."
)
_USE_ANOTHER_STEP = (
    "Use adv_method 'alum' or 'alum_one_pass', which take normalised steps in a relative ball, or set adv_epsilon to "
    "about 0.03 with adv_epsilon_unit 'relative' and adv_step_rule 'normalized'."
)


class RunningLog:
    """Sums of the losses since the last logging step, and the latest diagnostics of the adversary."""

    def __init__(self) -> None:
        self._task_loss: Tensor | None = None
        self._adversarial_loss: Tensor | None = None
        self._skipped: Tensor | None = None
        self._diagnostics: Diagnostics | None = None
        self._now: Method | None = None
        self._recent: deque[tuple[float, float]] = deque(maxlen=PATIENCE)
        self._first_step: int | None = None
        self._warned = False

    @property
    def has_gain(self) -> bool:
        """Whether the next log will have a gain."""
        return self._diagnostics is not None

    def add(self, result: AlumResult, now: Method, weight: float, step: int) -> None:
        """Adds the losses of a micro-batch of ``step``, times ``weight``; nothing is read from the device."""
        if now.alpha > 0 or self._first_step is None:  # of standard steps between attacks nothing is to be told
            self._now = now
        self._first_step = step if self._first_step is None else self._first_step
        self._task_loss = _plus(self._task_loss, result.task_loss * weight)
        self._adversarial_loss = _plus(self._adversarial_loss, result.adversarial_loss * weight)
        self._skipped = _plus(self._skipped, result.skipped)
        if result.diagnostics is not None:
            self._diagnostics = result.diagnostics

    def flush(self, step: int, gather: Callable[[Tensor], Tensor], is_last: bool = False) -> dict[str, float]:
        """Returns means over the steps since the last log and before ``step``; warns once if the adversary is idle.

        The warning takes some logs, or fewer in a training that ends before there are so many (``is_last``). ``gather``
        puts the rows ``[1, n]`` of all processes together.
        """
        if self._task_loss is None or self._adversarial_loss is None or self._skipped is None:
            return {}
        assert self._first_step is not None
        assert self._now is not None
        num_steps = step - self._first_step
        rows = gather(torch.stack((self._task_loss, self._adversarial_loss, self._skipped)).unsqueeze(0))
        sums = (*rows[:, :2].mean(0).tolist(), rows[:, 2].sum().item())
        task_loss, adversarial_loss = sums[0] / num_steps, sums[1] / num_steps
        logs: dict[str, float] = {
            "task_loss": task_loss,
            "adversarial_loss": adversarial_loss,
            "adv_alpha": self._now.alpha,
            "adv_epsilon": self._now.epsilon,
            "adversarial_skipped": sums[2],
        }
        gain = math.inf  # not measured
        if self._diagnostics is not None:
            d = self._diagnostics
            values = torch.stack((d.adversarial_gain, d.divergence, d.perturbation_norm, d.perturbation_ratio)).tolist()
            gain, divergence, norm, ratio = values
            if divergence >= ROUNDING_NATS:
                logs["adversarial_gain"] = gain
            logs |= {"divergence": divergence, "perturbation_norm": norm, "perturbation_ratio": ratio}
        if self._now.alpha > 0:
            contribution = self._now.alpha * adversarial_loss / max(abs(task_loss), 1e-30)
            self._recent.append((contribution, gain))
            self._watch(self._now, 2 if is_last else PATIENCE)
        self._task_loss = self._adversarial_loss = self._diagnostics = self._first_step = None
        return logs

    def _watch(self, now: Method, patience: int) -> None:
        if self._warned or len(self._recent) < patience:
            return
        contribution = max(pair[0] for pair in self._recent)
        gain = sum(pair[1] for pair in self._recent) / len(self._recent)
        silent = contribution < SILENT_CONTRIBUTION
        # Control methods take no ascent step: their noise is meant to be noise.
        noise = now.num_steps > 0 and gain < NOISE_GAIN
        if not (silent or noise):
            return
        self._warned = True
        what = (
            f"it adds {contribution:.1e} of the task loss, which is nothing"
            if silent
            else f"its gain is {gain:.2f}: it moves the outputs no more than random noise of the same length"
        )
        logger.warning(
            "The adversarial term does nothing: %s (method %s, epsilon %g %s, step rule %s). %s",
            what,
            now.name,
            now.epsilon,
            now.epsilon_unit,
            now.step_rule,
            _REACTS_LITTLE if now.step_rule == "normalized" and now.epsilon_unit == "relative" else _USE_ANOTHER_STEP,
        )


def _plus(total: Tensor | None, value: Tensor) -> Tensor:
    return value.float() if total is None else total + value.float()
