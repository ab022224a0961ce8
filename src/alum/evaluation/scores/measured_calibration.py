"""Calibration of what was measured, as it is and after a temperature that other rows without an attack were fitted to.

Temperatures are fitted across: rows, or what rows share, are in one of two halves by their name, and the outputs of
each half are divided by the temperature of the other half's clean outputs, under attacks too. What an attack gains by a
model that is too sure, or not sure enough, is then told from what it gains by the model's answers (Raina et al. 2024,
arXiv:2402.17509).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy.special import log_softmax

from alum.attacks.condition import LOG_LIKELIHOOD
from alum.core.errors import InputError
from alum.evaluation.scores.calibration import calibration_error, fitted_temperature, reliability_bins, row_losses
from alum.evaluation.scores.row_records import ROW
from alum.evaluation.scores.statistics import Clusters, Interval, mean_interval, reflected_interval
from alum.evaluation.scores.summary import Measurement

_LOGITS, _LABEL = "logits", "label_index"
LOGIT_FIELDS = frozenset((_LOGITS, _LABEL))
"""Fields that `with_logits` adds to a row's record."""


def with_logits(record: Mapping[str, Any], logits: np.ndarray, label: int) -> dict[str, Any]:
    """Record of a row with a model's ``logits`` ``[labels]``, the right label's index, and its log-likelihood.

    Raises `InputError` for logits that are not finite.
    """
    values = np.asarray(logits, float)
    if not np.isfinite(values).all():
        raise InputError(f"row {record[ROW]}: the model's logits are not finite, so that it gives no probabilities.")
    scores = {**record["scores"], LOG_LIKELIHOOD: float(log_softmax(values)[label])}
    return {**record, "scores": scores, _LOGITS: values.tolist(), _LABEL: label}


def calibration_of(measurement: Measurement, clean: Measurement) -> list[dict[str, Any]]:
    """Entry of a measurement in ``results.json``; none for kinds of task that do not choose one label.

    ``clean`` is the same model's measurement without an attack, of the same rows or more.
    """
    if _LOGITS not in measurement.records[0]:
        return []
    logits, labels = _outputs(measurement.records)
    clusters = measurement.clusters or None
    temperatures = held_out_temperatures(clean)
    after = None
    if all(temperatures):
        # The halves' temperatures change places: each is that of the other rows.
        of_rows = np.array([temperatures[1 - half] for half in _halves(measurement)], float)
        after = _level(logits / of_rows[:, None], labels, clusters)
    return [
        {
            "model": measurement.model,
            **asdict(measurement.condition),
            "temperature": float(np.exp(np.log(np.array(temperatures, float)).mean())) if after else None,
            "raw": _level(logits, labels, clusters),
            "after_temperature": after,
            "num_rows": len(labels),
        }
    ]


def held_out_temperatures(clean: Measurement) -> tuple[float | None, float | None]:
    """Temperatures that were fitted to each half of the rows; None for halves without a row, or with right ones alone.

    Where all are right, any lower temperature is better.
    """
    logits, labels = _outputs(clean.records)
    halves = np.array(_halves(clean))

    def fitted(half: int) -> float | None:
        own = halves == half
        if (logits[own].argmax(-1) == labels[own]).all():
            return None
        return fitted_temperature(logits[own], labels[own])

    return fitted(0), fitted(1)


def _halves(measurement: Measurement) -> list[int]:
    """Half, 0 or 1, of each record: the same in each measurement of a suite, whatever order its rows have."""
    names = measurement.clusters or [str(record[ROW]) for record in measurement.records]
    return [hashlib.blake2b(name.encode("utf-8", "surrogatepass")).digest()[0] % 2 for name in names]


def _outputs(records: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([record[_LOGITS] for record in records]), np.array([record[_LABEL] for record in records])


def _level(logits: np.ndarray, labels: np.ndarray, clusters: Clusters) -> dict[str, Any]:
    likelihoods, brier_scores = row_losses(logits, labels)
    error = calibration_error(logits, labels)
    return {
        "negative_log_likelihood": _around(likelihoods.mean(), mean_interval(likelihoods.tolist(), clusters)),
        "brier_score": _around(brier_scores.mean(), mean_interval(brier_scores.tolist(), clusters)),
        "expected_calibration_error": _around(error.value, reflected_interval(error, clusters)),
        "bins": [asdict(one) for one in reliability_bins(logits, labels)],
    }


def _around(value: float, interval: Interval) -> dict[str, float]:
    return {"value": float(value), **interval._asdict()}
