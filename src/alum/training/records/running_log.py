"""Logs of adversarial training, summed up on the device between logging steps, and a warning if it does nothing."""

import dataclasses
import logging
import math
import statistics
from collections import deque
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from alum.core.measures.diagnostics import Diagnostics
from alum.core.method_settings import Method
from alum.core.objective import AlumResult
from alum.core.outputs.rounding import ROUNDING_NATS

logger = logging.getLogger(__name__)

NOISE_GAIN = 1.5  # a random direction scatters around 1; the weakest true adversary that we measured has over 50
SILENT_CONTRIBUTION = 1e-6  # share of the task loss below which fp32 sums lose the adversarial term
_ROUNDING = 1e-4  # of sums of shares
PATIENCE = 3  # logging steps in a row before the warning
_NUM_SUMS = 6
_FIGURES = (
    "divergence",
    "noise_divergence",
    "perturbation_norm",
    "perturbation_ratio",
    "further_divergence",
    "mask_divergence",
)
_REACTS_LITTLE = (
    "A model reacts little to its input early in training: if this goes on, set a larger adv_epsilon, or save the cost "
    "with a later adv_start_fraction."
)
_CHANGE_MORE = (
    "A model says the same of changed texts early in training: if this goes on, set a larger adv_text_word_share, "
    "other adv_text_changes or more adv_text_draws."
)
_USE_ANOTHER_STEP = (
    "Use adv_method 'alum' or 'alum_one_pass', which take normalised steps in a relative ball, or set adv_epsilon to "
    "about 0.03 with adv_epsilon_unit 'relative' and adv_step_rule 'normalized'."
)


class RunningLog:
    """Sums of the losses since the last logging step, and the diagnostics of the latest step that was measured."""

    def __init__(self) -> None:
        self._task_loss: Tensor | None = None
        self._adversarial_loss: Tensor | None = None
        self._skipped: Tensor | None = None
        self._proximal_loss: Tensor | None = None
        self._text_loss: Tensor | None = None
        self._attacked: Tensor | None = None
        self._num_texts = [0.0, 0.0]
        self._told_of_texts = False
        self._diagnostics: list[Diagnostics] = []
        self._diagnosed_step = -1
        self._now: Method | None = None
        self._contributions: deque[float] = deque(maxlen=PATIENCE)
        self._gains: deque[float] = deque(maxlen=PATIENCE)
        self._first_step: int | None = None
        self._warned = False
        self._measured_before: Tensor | None = None

    @property
    def has_gain(self) -> bool:
        """Whether the next log will have a gain."""
        return bool(self._diagnostics) or self._measured_before is not None

    def add(self, result: AlumResult, now: Method, weight: float, step: int, attacked: Tensor | float = 1.0) -> None:
        """Adds the losses of a micro-batch of ``step``, times ``weight``; nothing is read from the device.

        ``attacked`` is the share of its rows that are.
        """
        if now.alpha > 0 or self._first_step is None:  # of standard steps between attacks nothing is to be told
            self._now = now
        self._first_step = step if self._first_step is None else self._first_step
        self._task_loss = _plus(self._task_loss, result.task_loss * weight)
        self._adversarial_loss = _plus(self._adversarial_loss, result.adversarial_loss * weight)
        self._skipped = _plus(self._skipped, result.skipped)
        proximal_loss = torch.zeros_like(result.skipped) if result.proximal_loss is None else result.proximal_loss
        self._proximal_loss = _plus(self._proximal_loss, proximal_loss * weight)
        text_loss = torch.zeros_like(result.skipped) if result.text_loss is None else result.text_loss
        self._text_loss = _plus(self._text_loss, text_loss * weight)
        attacked = attacked if now.alpha > 0 else 0.0
        self._attacked = _plus(self._attacked, (1 - result.skipped) * attacked * weight)
        if result.diagnostics is not None:
            if step != self._diagnosed_step:
                self._diagnosed_step, self._diagnostics, self._measured_before = step, [], None
            self._diagnostics.append(result.diagnostics)

    def count_texts(self, num_drawn: int, num_changed: int) -> None:
        """Counts texts that were drawn for rows, and those of them in which a word was changed."""
        self._num_texts = [self._num_texts[0] + num_drawn, self._num_texts[1] + num_changed]

    def flush(self, step: int, gather: Callable[[Tensor], Tensor], is_last: bool = False) -> dict[str, float]:
        """Returns means over the steps since the last log and before ``step``.

        Warns once if the adversary is idle, which takes some logs, or fewer in a training that ends before there are so
        many (``is_last``), and once if it leaves most texts as they are. ``gather`` puts the rows ``[1, n]`` of all
        processes together.
        """
        row = self._row()
        if row is None:
            return {}
        assert self._first_step is not None
        assert self._now is not None
        num_steps = step - self._first_step
        row = torch.cat((torch.tensor(self._num_texts, dtype=row.dtype, device=row.device), row))
        rows = gather(row.unsqueeze(0)).tolist()
        num_drawn, num_changed, task_loss, adversarial_loss, skipped, proximal_loss, text_loss, attacked, *measured = (
            sum(column) for column in zip(*rows, strict=True)
        )
        task_loss, adversarial_loss = task_loss / num_steps / len(rows), adversarial_loss / num_steps / len(rows)
        logs: dict[str, float] = {
            "task_loss": task_loss,
            "adversarial_loss": adversarial_loss,
            "adv_alpha": self._now.alpha,
        }
        if self._now.space != "text":
            logs["adv_epsilon"] = self._now.epsilon
        logs["adversarial_skipped"] = skipped
        if self._now.has_proximal_term:
            logs["proximal_loss"] = proximal_loss / num_steps / len(rows)
        if self._now.changes_text:
            logs["text_loss"] = text_loss / num_steps / len(rows)
        if (attacked_share := attacked / num_steps / len(rows)) < 1 - _ROUNDING:
            logs["attacked_share"] = attacked_share
        if num_drawn:
            logs["changed_text_share"] = num_changed / num_drawn
            self._watch_texts(num_changed / num_drawn)
        figures = _means(*measured)
        if self._now.alpha > 0:
            self._contributions.append(self._now.alpha * adversarial_loss / max(abs(task_loss), 1e-30))
            if "adversarial_gain" in figures:
                self._gains.append(figures["adversarial_gain"])
            self._watch(self._now, 2 if is_last else PATIENCE)
        self._begin_anew()
        return logs | figures

    def _begin_anew(self) -> None:
        self._task_loss = self._adversarial_loss = self._proximal_loss = self._text_loss = self._attacked = None
        self._first_step = None
        self._num_texts = [0.0, 0.0]
        self._diagnostics, self._measured_before = [], None

    def kept(self, mean_of_processes: Callable[[Tensor], Tensor]) -> dict[str, Any]:
        """Makes values for JSON of what there is since the last log, for a checkpoint."""
        kept = {
            "contributions": list(self._contributions),
            "gains": list(self._gains),
            "warned": self._warned,
            "told_of_texts": self._told_of_texts,
        }
        row = self._row()
        if row is None:
            return kept if self._skipped is None else {**kept, "skipped": mean_of_processes(self._skipped).item()}
        assert self._now is not None
        now = {"first_step": self._first_step, "alpha": self._now.alpha, "epsilon": self._now.epsilon}
        num_texts = mean_of_processes(torch.tensor(self._num_texts, device=row.device)).tolist()
        return {**kept, **now, "row": mean_of_processes(row).tolist(), "num_texts": num_texts}

    def take_up(self, kept: dict[str, Any], method: Method, device: torch.device) -> None:
        """Goes on with what `kept` made, in a training by ``method``."""
        self._contributions.extend(kept["contributions"])
        self._gains.extend(kept["gains"])
        self._warned = kept["warned"]
        self._told_of_texts = kept.get("told_of_texts", False)  # checkpoints of 0.2.0 count no texts
        self._num_texts = kept.get("num_texts", self._num_texts)
        if "skipped" in kept:
            self._skipped = torch.tensor(kept["skipped"], device=device)
        if len(kept.get("row", ())) != _NUM_SUMS + 1 + len(_FIGURES):  # none, or by another version
            return
        self._first_step = kept["first_step"]
        self._now = dataclasses.replace(method, alpha=kept["alpha"], epsilon=kept["epsilon"])
        row = torch.tensor(kept["row"], device=device)
        self._task_loss, self._adversarial_loss, self._skipped, *others = row[:_NUM_SUMS].unbind()
        self._proximal_loss, self._text_loss, self._attacked = others
        if row[_NUM_SUMS] > 0:  # micro-batches that were measured
            self._measured_before = row[_NUM_SUMS:]

    def _row(self) -> Tensor | None:
        """Sums of losses, and those of what was measured, `[sums + 1 + figures]`; None where no step was added."""
        sums = (
            self._task_loss,
            self._adversarial_loss,
            self._skipped,
            self._proximal_loss,
            self._text_loss,
            self._attacked,
        )
        losses = [value for value in sums if value is not None]
        if len(losses) < len(sums):
            return None
        measured = self._measured_before
        if measured is None:
            measured = _sums(self._diagnostics, losses[0].device)
        return torch.cat((torch.stack(losses), measured))

    def _watch_texts(self, share: float) -> None:
        if self._told_of_texts or share >= 0.5:
            return
        self._told_of_texts = True
        logger.warning(
            "The adversary changed %.1f %% of the texts that it drew, and left the others as they are: their words "
            "allow none of the adv_text_changes. Add another kind, such as typing.",
            100 * share,
        )

    def _watch(self, now: Method, patience: int) -> None:
        if self._warned or len(self._contributions) < patience:
            return
        contribution = max(self._contributions)
        # A median, since one divergence over a rounded one is as good as infinite.
        gain = statistics.median(self._gains) if len(self._gains) >= patience else None
        silent = contribution < SILENT_CONTRIBUTION
        # Control methods take no ascent step: their noise is meant to be noise.
        noise = now.num_steps > 0 and gain is not None and gain < NOISE_GAIN
        if not (silent or noise):
            return
        self._warned = True
        what = (
            f"it adds {contribution:.1e} of the task loss, which is nothing"
            if silent
            else f"its gain is {gain:.2f}: it moves the outputs no more than random noise of the same length"
        )
        if now.space == "text":
            logger.warning("The adversarial term does nothing: %s (method %s). %s", what, now.name, _CHANGE_MORE)
            return
        logger.warning(
            "The adversarial term does nothing: %s (method %s, epsilon %g %s, step rule %s). %s",
            what,
            now.name,
            now.epsilon,
            now.epsilon_unit,
            now.step_rule,
            _REACTS_LITTLE if now.step_rule == "normalized" and now.epsilon_unit == "relative" else _USE_ANOTHER_STEP,
        )


def _sums(diagnostics: list[Diagnostics], device: torch.device) -> Tensor:
    """Number of measured micro-batches and sums of their figures, ``[1 + figures]``; what is not measured is NaN."""
    if not diagnostics:
        return torch.zeros(1 + len(_FIGURES), device=device)
    nothing = torch.full_like(diagnostics[0].divergence, torch.nan)
    figures = [[getattr(d, name) for name in _FIGURES] for d in diagnostics]
    rows = [torch.stack([nothing if value is None else value for value in row]) for row in figures]
    return torch.cat((torch.tensor([float(len(rows))], device=device), torch.stack(rows).sum(0)))


def _means(count: float, *sums: float) -> dict[str, float]:
    """Means of what was measured, and the gain where its divergence is more than rounding."""
    if not count:
        return {}
    means = {name: total / count for name, total in zip(_FIGURES, sums, strict=True) if not math.isnan(total)}
    noise, further = means.pop("noise_divergence", math.nan), means.pop("further_divergence", math.nan)
    ratios = {}
    if (divergence := means.get("divergence", 0.0)) >= ROUNDING_NATS:
        ratios["adversarial_gain"] = divergence / noise if noise else math.inf
        if not math.isnan(further):
            ratios["adversarial_strength"] = divergence / further
    return ratios | means


def _plus(total: Tensor | None, value: Tensor) -> Tensor:
    return value.float() if total is None else total + value.float()
