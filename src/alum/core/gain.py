"""Adversarial gain as a figure for people, who are not given one that is made of rounding."""

ROUNDING = 1e-9  # divergences below are in a good part rounding of fp32, and their ratios mean nothing
BELOW_ROUNDING = "below rounding"


def gain_or_rounding(gain: float, divergence: float) -> float | str:
    """Returns the gain, or text instead of it where the divergence at δ is near rounding.

    >>> gain_or_rounding(825.0, 2e-4), gain_or_rounding(16.2, 8e-10)
    (825.0, 'below rounding')
    """
    return gain if divergence >= ROUNDING else BELOW_ROUNDING
