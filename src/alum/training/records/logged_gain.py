"""Adversarial gain as a training logged it: the first and the last, for the records of a run."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict


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
