"""Calibration of classifiers: whether labels that are given a probability of p turn out right in p of the rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from alum.core.errors import InputError
from alum.evaluation.scores.set_metrics import SetMetric

NUM_BINS = 15
_COLDEST, _HOTTEST = 1e-3, 1e3


@dataclass(frozen=True)
class Calibration:
    """Proper scores of predicted distributions, and how far confidence and accuracy are apart.

    ``negative_log_likelihood`` is in nats a row. ``brier_score`` is the mean squared distance to the right label's
    one-hot vector, over all labels: 0 to 2 (Brier 1950). ``expected_calibration_error`` is the mean distance of
    confidence and accuracy over `reliability_bins`.
    """

    negative_log_likelihood: float
    brier_score: float
    expected_calibration_error: float
    accuracy: float


@dataclass(frozen=True)
class ReliabilityBin:
    """Rows of about the same confidence: how many they are, how sure the model was, and in how many it was right."""

    num_rows: int
    confidence: float
    accuracy: float


def calibration(logits: ArrayLike, labels: ArrayLike, temperature: float = 1.0) -> Calibration:
    """Scores of the softmax of ``logits`` ``[rows, classes]`` over ``temperature``, against ``labels`` ``[rows]``.

    Raises `InputError` for no rows, and for labels that are none of the classes.
    """
    log_probs, indices = _log_probs(logits, labels, temperature)
    likelihoods, brier_scores = row_losses(logits, labels, temperature)
    return Calibration(
        negative_log_likelihood=float(likelihoods.mean()),
        brier_score=float(brier_scores.mean()),
        expected_calibration_error=calibration_error(logits, labels, temperature).value,
        accuracy=float((log_probs.argmax(-1) == indices).mean()),
    )


def row_losses(logits: ArrayLike, labels: ArrayLike, temperature: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Negative log-likelihood and Brier score of each row, ``[rows]``; raises as `calibration`."""
    log_probs, indices = _log_probs(logits, labels, temperature)
    of_right = log_probs[np.arange(len(indices)), indices]
    return -of_right, (np.exp(log_probs) ** 2).sum(-1) - 2 * np.exp(of_right) + 1


def calibration_error(
    logits: ArrayLike, labels: ArrayLike, temperature: float = 1.0, num_bins: int = NUM_BINS
) -> SetMetric:
    """Expected calibration error of `calibration` as a function of sums over rows, of which some may be drawn.

    The bins are those of all rows, whichever are drawn.
    """
    log_probs, indices = _log_probs(logits, labels, temperature)
    gaps = np.exp(log_probs.max(-1)) - (log_probs.argmax(-1) == indices)
    bins = _rows_of_bins(np.exp(log_probs.max(-1)), num_bins)
    rows = np.zeros((len(gaps), len(bins) + 1))
    rows[:, -1] = 1
    for number, own in enumerate(bins):
        rows[own, number] = gaps[own]
    return SetMetric(rows, lambda sums: np.asarray(np.abs(sums[..., :-1]).sum(-1) / sums[..., -1]))


def reliability_bins(
    logits: ArrayLike, labels: ArrayLike, temperature: float = 1.0, num_bins: int = NUM_BINS
) -> list[ReliabilityBin]:
    """Rows in order of confidence, the probability of the likeliest label, in bins of as many rows each.

    Bins of equal width leave most bins of a confident model empty (Nixon et al. 2019, arXiv:1904.01685). Rows of one
    confidence share a bin, so that their order does not count.
    """
    log_probs, indices = _log_probs(logits, labels, temperature)
    confidences = np.exp(log_probs.max(-1))
    is_right = log_probs.argmax(-1) == indices
    return [
        ReliabilityBin(len(rows), float(confidences[rows].mean()), float(is_right[rows].mean()))
        for rows in _rows_of_bins(confidences, num_bins)
    ]


def fitted_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """Temperature that gives rows the highest likelihood (Guo et al. 2017, arXiv:1706.04599).

    Fit it on other rows than those that are scored. The likelihood is concave in 1 / temperature, so that there is one,
    if it is not zero, as where all rows are right, or infinite: it is looked for within 1/1000 and 1000 times the
    logits' own size.
    """
    values = np.asarray(logits, float)
    spread = float(np.sqrt(np.square(values - values.mean(-1, keepdims=True)).mean())) if values.size else 0.0
    scale = np.log(spread) if spread > 0 else 0.0

    def loss(log_temperature: float) -> float:
        return float(row_losses(values, labels, float(np.exp(log_temperature)))[0].mean())

    found = minimize_scalar(loss, bounds=(scale + np.log(_COLDEST), scale + np.log(_HOTTEST)), method="bounded")
    return float(np.exp(found.x))


def _rows_of_bins(confidences: np.ndarray, num_bins: int) -> list[np.ndarray]:
    order = np.argsort(confidences, kind="stable")
    ends = np.unique(np.linspace(0, len(order), num_bins + 1).round().astype(int))
    # An end within rows of one confidence moves behind the last of them.
    ends = np.unique(np.searchsorted(confidences[order], confidences[order][ends[1:] - 1], side="right"))
    return np.split(order, ends[:-1])


def _log_probs(logits: ArrayLike, labels: ArrayLike, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    values, indices = np.asarray(logits, float), np.asarray(labels)
    if values.ndim != 2 or indices.shape != values.shape[:1] or not len(indices):
        raise InputError(
            f"calibration is of logits [rows, classes] and labels [rows], at least one, not of {values.shape} and "
            f"{indices.shape}."
        )
    if not np.isin(indices, np.arange(values.shape[1])).all():
        raise InputError(
            f"labels must be numbers from 0 to {values.shape[1] - 1}, not {sorted(set(indices.tolist()))}."
        )
    return log_softmax(values / temperature, axis=-1), indices.astype(int)
