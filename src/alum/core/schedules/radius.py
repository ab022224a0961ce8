"""Radius set by the divergence that it is to have: D is of second order in δ, D ≈ c·ε², so that ε = √(target / c)."""

from dataclasses import dataclass, replace

from alum.core.errors import SettingError
from alum.core.method_settings import Method

_MEMORY_STEPS = 8
"""Steps over which c is averaged; the mean of D, not of its logarithm, then comes to the target."""
_LARGEST_CHANGE = 2.0
"""Of the radius, from one step to the next, up or down."""
_FURTHEST = 1e6
"""Factor between the radius and the method's own beyond which it does not go: some targets cannot be reached."""


@dataclass(frozen=True)
class Radius:
    """Radius as a ``factor`` on the method's own ε, with the mean ``curvature`` D / factor² seen so far.

    >>> radius = Radius()
    >>> for _ in range(8):  # a model whose D is 0.001 at the method's own ε
    ...     radius = radius.after(0.001 * radius.factor**2, target=0.1)
    >>> radius.factor  # √(0.1 / 0.001)
    10.0
    """

    factor: float = 1.0
    curvature: float | None = None

    def after(self, divergence: float | None, target: float) -> "Radius":
        """Radius after a step whose mean divergence was this; None: it was not finite, so the radius is too large."""
        if divergence is None:
            curvature = target * (_LARGEST_CHANGE / self.factor) ** 2
        else:
            seen = divergence / self.factor**2
            curvature = seen if self.curvature is None else self.curvature + (seen - self.curvature) / _MEMORY_STEPS
        factor = (target / max(curvature, target / _FURTHEST**2)) ** 0.5
        factor = min(max(factor, self.factor / _LARGEST_CHANGE, 1 / _FURTHEST), self.factor * _LARGEST_CHANGE)
        return Radius(factor, curvature)


def check_target(target: float, method: Method) -> None:
    """Raises `SettingError` where no radius of ``method`` has such a divergence."""
    if not 0 < target < float("inf"):
        raise SettingError("target_divergence", f"is in nats and must be above 0 and finite, not {target}.")
    if method.term != "divergence":
        raise SettingError(
            "target_divergence",
            f"needs a divergence, and method {method.name!r} trains the task loss at δ. Leave it out, or choose "
            "'alum'.",
        )
    if "epsilon" in method.idle_settings():
        reason = method.idle_settings()["epsilon"]
        has_radius_beside = "epsilon" not in replace(method, space="both").idle_settings()
        other = "'both' as the space" if method.changes_text and has_radius_beside else "'noise'"
        raise SettingError(
            "target_divergence",
            f"sets the radius, which has no effect with method {method.name!r}: {reason}. Leave it out, or choose "
            f"{other}.",
        )
