"""Metrics of whole sets that are no means over rows (F1, correlations), as functions of sums over rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import rankdata


@dataclass(frozen=True)
class SetMetric:
    """Metric of a set of rows: what each row adds to some sums, ``[rows, d]``, and the metric of sums ``[..., d]``.

    NaN where it is not defined, as a correlation of constants. It ``is_bounded`` if no row can count for more than 1,
    as where rows are right or wrong, but not for losses.
    """

    rows: np.ndarray
    of: Callable[[np.ndarray], np.ndarray]
    is_bounded: bool = True
    is_error: bool = False
    """Whether less is better; a model's lead in such a metric is not told."""

    def at(self, indices: Sequence[int]) -> "SetMetric":
        """Metric of some of the rows."""
        return replace(self, rows=self.rows[list(indices)])

    @property
    def value(self) -> float:
        return float(self.of(self.rows.sum(0)))


def set_metric(name: str, gold: Sequence[float], found: Sequence[float]) -> SetMetric:
    """Metric of predictions ``found`` against ``gold``, one a row: integer labels, or numbers.

    Raises KeyError for other names than those of `SET_METRICS`.

    >>> set_metric("matthews_correlation", [0, 1, 1, 0], [0, 1, 1, 0]).value
    1.0
    """
    return SET_METRICS[name](np.asarray(gold), np.asarray(found))


def _f1(gold: np.ndarray, found: np.ndarray) -> SetMetric:
    """F1 of label 1."""
    return SetMetric(_hits(gold == 1, found == 1), lambda sums: _f1_of_hits(sums, empty=0.0))


def _f1_macro(gold: np.ndarray, found: np.ndarray) -> SetMetric:
    """Mean F1 over the labels that are right or predicted anywhere in the set."""
    labels = np.union1d(gold, found)
    rows = np.concatenate([_hits(gold == label, found == label) for label in labels], axis=1)

    def of(sums: np.ndarray) -> np.ndarray:
        values = _f1_of_hits(sums.reshape(*sums.shape[:-1], len(labels), 3), empty=np.nan)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.nansum(values, -1) / (~np.isnan(values)).sum(-1))

    return SetMetric(rows, of)


def _hits(gold: np.ndarray, found: np.ndarray) -> np.ndarray:
    return np.stack((gold & found, gold, found), axis=1).astype(float)


def _f1_of_hits(sums: np.ndarray, empty: float) -> np.ndarray:
    hits, either = 2 * sums[..., 0], sums[..., 1] + sums[..., 2]
    return _quotient(hits, either, either > 0, empty)


def _matthews(gold: np.ndarray, found: np.ndarray) -> SetMetric:
    """Matthews correlation for any number of labels (Gorodkin 2004), 0 where it is 0/0."""
    labels = np.union1d(gold, found)
    pairs = np.searchsorted(labels, gold) * len(labels) + np.searchsorted(labels, found)

    def of(sums: np.ndarray) -> np.ndarray:
        table = sums.reshape(*sums.shape[:-1], len(labels), len(labels))
        num, right = table.sum((-1, -2)), np.trace(table, axis1=-2, axis2=-1)
        of_gold, of_found = table.sum(-1), table.sum(-2)
        covariance = right * num - (of_gold * of_found).sum(-1)
        variances = (num**2 - (of_gold**2).sum(-1)) * (num**2 - (of_found**2).sum(-1))
        return _quotient(covariance, np.sqrt(variances), variances > 0, 0.0)

    return SetMetric(np.eye(len(labels) ** 2)[pairs], of)


def _pearson(gold: np.ndarray, found: np.ndarray) -> SetMetric:
    """Correlation of standardised numbers: two models' predictions are then on one scale."""
    x, y = _standardised(gold), _standardised(found)
    return SetMetric(np.stack((np.ones_like(x), x, y, x * x, y * y, x * y), axis=1), _correlation)


def _spearman(gold: np.ndarray, found: np.ndarray) -> SetMetric:
    """Correlation of the ranks in the whole set, which a resample keeps."""
    return _pearson(rankdata(gold), rankdata(found))


def _standardised(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean()
    deviation = centred.std()
    return np.asarray(centred / deviation if deviation > 0 else centred, float)


def _correlation(sums: np.ndarray) -> np.ndarray:
    num, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    covariance, variances = num * xy - x * y, (num * xx - x * x) * (num * yy - y * y)
    # Of constants the variance is rounding, not zero.
    is_defined = variances > 1e-12 * num**4
    return _quotient(covariance, np.sqrt(np.abs(variances)), is_defined, np.nan)


def _quotient(over: np.ndarray, under: np.ndarray, is_defined: np.ndarray, otherwise: float) -> np.ndarray:
    return np.asarray(np.divide(over, under, out=np.full(np.shape(under), otherwise), where=is_defined))


def worst_of_variants(scores: Sequence[float], originals: Sequence[str]) -> SetMetric:
    """Mean over ``originals`` of the lowest score of their rows: an adversary chooses among the variants of each.

    The first row of each stands for all of them; what is drawn must hold all variants of an original or none.

    >>> worst_of_variants([1.0, 0.0, 0.5, 1.0], ["a", "a", "b", "b"]).value
    0.25
    """
    lowest: dict[str, float] = {}
    for score, original in zip(scores, originals, strict=True):
        lowest[original] = min(score, lowest.get(original, score))
    rows = np.zeros((len(scores), 2))
    for index, original in enumerate(originals):
        if original in lowest:
            rows[index] = lowest.pop(original), 1
    return SetMetric(rows, lambda sums: _quotient(sums[..., 0], sums[..., 1], sums[..., 1] > 0, np.nan))


def set_metric_of_rows(num_rows: int, of_rows: Callable[[Sequence[int]], float]) -> SetMetric:
    """Metric that is known as a function of the indices of rows alone, some of them several times."""

    def of(counts: np.ndarray) -> np.ndarray:
        flat = counts.reshape(-1, num_rows).astype(int)
        found = [of_rows(np.repeat(np.arange(num_rows), row).tolist()) for row in flat]
        return np.reshape(found, counts.shape[:-1])

    return SetMetric(np.eye(num_rows), of)


SET_METRICS: dict[str, Callable[[np.ndarray, np.ndarray], SetMetric]] = {
    "f1": _f1,
    "f1_macro": _f1_macro,
    "matthews_correlation": _matthews,
    "pearson": _pearson,
    "spearman": _spearman,
}
