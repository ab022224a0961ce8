"""Momentum of an average of the weights, which forgets the first of them sooner."""

_EARLY_FRACTION = 0.1
_EARLY_MOMENTUM = 0.99


def momentum_at(progress: float, momentum: float) -> float:
    """Momentum β of θ̃ ← β·θ̃ + (1 - β)·θ after the update at ``progress``: at most 0.99 in the first tenth of training.

    Jiang et al. 2020, arXiv:1911.03437, after Tarvainen and Valpola 2017, arXiv:1703.01780.

    >>> momentum_at(0.1, 0.999), momentum_at(0.2, 0.999)
    (0.99, 0.999)
    """
    return min(momentum, _EARLY_MOMENTUM) if progress <= _EARLY_FRACTION else momentum
