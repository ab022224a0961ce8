"""Schedules of adversarial training: its start, and the growth of its weight and radius, over progress in [0, 1]."""

import dataclasses
from dataclasses import dataclass

from alum.core.errors import SettingError
from alum.core.method_settings import Method


@dataclass(frozen=True)
class Curriculum:
    """Schedule of standard training up to ``start_fraction`` and adversarial training after it.

    The paper starts half way (arXiv:2004.08994, section 4.1). From the start on, alpha and epsilon grow linearly from
    0 over ``alpha_ramp_fraction`` and ``epsilon_ramp_fraction`` of all training; 0 has them at full size at once.
    """

    start_fraction: float = 0.0
    alpha_ramp_fraction: float = 0.0
    epsilon_ramp_fraction: float = 0.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if not 0 <= getattr(self, field.name) <= 1:
                raise SettingError(field.name, f"must lie in [0, 1], not {getattr(self, field.name)}.")

    def at(self, progress: float, method: Method) -> Method:
        """Returns ``method`` with the alpha and epsilon that hold at ``progress``; alpha is 0 before the start.

        >>> from alum.core.methods import METHODS
        >>> Curriculum(start_fraction=0.5, alpha_ramp_fraction=0.2).at(0.6, METHODS["alum"]).alpha
        0.5
        """
        alpha = method.alpha * self._ramp(progress, self.alpha_ramp_fraction)
        epsilon_share = self._ramp(progress, self.epsilon_ramp_fraction)
        # A ball must have a radius: at the very start of its ramp the adversary is still off instead.
        if progress < self.start_fraction or epsilon_share == 0:
            return dataclasses.replace(method, alpha=0.0)
        return dataclasses.replace(method, alpha=alpha, epsilon=method.epsilon * epsilon_share)

    def _ramp(self, progress: float, ramp_fraction: float) -> float:
        if ramp_fraction == 0:
            return 1.0
        return round(min(1.0, (progress - self.start_fraction) / ramp_fraction), 12)
