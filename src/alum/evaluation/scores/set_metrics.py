"""Metrics of whole sets that are no means over rows (F1, correlations), fast enough for a thousand resamples."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import f1_score, matthews_corrcoef

from alum.evaluation.scores.summary import SetMetrics

Metric = Callable[[np.ndarray, np.ndarray], float]


def set_metric(name: str, gold: np.ndarray, found: np.ndarray) -> float:
    """Computes a metric of predictions ``found`` against ``gold``, ``[rows]`` each: integer labels, or numbers.

    NaN where it is not defined, as a correlation of constants. Raises KeyError for other names.

    >>> set_metric("matthews_correlation", np.array([0, 1, 1, 0]), np.array([0, 1, 1, 0]))
    1.0
    """
    return float(_METRICS[name](gold, found))


def set_metrics_of(names: Sequence[str], gold: Sequence[float], found: Sequence[float]) -> SetMetrics:
    """Makes the function from indices of rows, some of them several times, to the metrics `set_metric` of these."""
    all_gold, all_found = np.array(gold), np.array(found)
    return lambda indices: {name: set_metric(name, all_gold[list(indices)], all_found[list(indices)]) for name in names}


def _correlation(of: Callable[[np.ndarray, np.ndarray], float]) -> Metric:
    return lambda gold, found: of(gold, found) if np.ptp(gold) > 0 and np.ptp(found) > 0 else math.nan


_METRICS: dict[str, Metric] = {
    "f1": lambda gold, found: f1_score(gold, found, zero_division=0.0),
    "f1_macro": lambda gold, found: f1_score(gold, found, average="macro", zero_division=0.0),
    "matthews_correlation": matthews_corrcoef,
    "pearson": _correlation(lambda gold, found: pearsonr(gold, found).statistic),
    "spearman": _correlation(lambda gold, found: spearmanr(gold, found).statistic),
}
