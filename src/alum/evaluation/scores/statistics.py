"""Intervals of scores, and paired comparisons of two models on the same rows.

Rows that belong together (``clusters``) are drawn, and swapped between two models, together: questions on one context
are no independent tries. Without clusters every row is one.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy.stats import binom, binomtest, t

from alum.core.errors import InputError
from alum.evaluation.scores.resampling import by_cluster, resampled_sums, swapped_sums
from alum.evaluation.scores.set_metrics import SetMetric

NUM_RESAMPLES = 1999
Clusters = Sequence[Hashable] | None


class Interval(NamedTuple):
    """Confidence interval of a score, by its ends."""

    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Comparison of two models on the same rows: the second's score minus the first's, interval and p-value."""

    difference: float
    low: float
    high: float
    p_value: float
    test: Literal["mcnemar", "permutation"]
    num_rows: int


# -- intervals ---------------------------------------------------------------------------------------------------------


def mean_interval(
    scores: Sequence[float], clusters: Clusters = None, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Interval of the mean of per-row scores; raises `InputError` for no rows."""
    return ratio_interval(scores, [1.0] * len(scores), clusters, confidence, seed)


def ratio_interval(
    numerators: Sequence[float],
    denominators: Sequence[float],
    clusters: Clusters = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Interval of the sum of ``numerators`` over the sum of ``denominators``, both of them one a row.

    For rates whose denominator is random too: attacks that succeeded over rows that were attacked, or the mean share
    of changed words over successes (0 and 0 in the other rows).

    Of 0/1 scores it is Wilson's (1927); of others a percentile bootstrap's over clusters (Efron 1979), whose resamples
    with a denominator of 0 are left out. Clusters that are all 0 or all 1 have Wilson's interval for as many tries as
    there are clusters, since all resamples would be the same. Raises `InputError` if all denominators are 0.
    """
    over, under = np.asarray(numerators, float), np.asarray(denominators, float)
    if not under.any():
        raise InputError("expected at least one row to take a rate over, but there is none.")
    is_rate = np.isin(under, (0, 1)).all() and np.isin(over[under == 1], (0, 1)).all()
    sums = by_cluster(np.stack((over, under), axis=1), clusters)
    if is_rate and clusters is None:
        return _wilson(over.sum(), under.sum(), confidence)
    if is_rate and (not over.any() or np.array_equal(over, under)):
        num_tries = float((sums[:, 1] > 0).sum())
        return _wilson(num_tries * bool(over.any()), num_tries, confidence)

    def ratio(sums: np.ndarray) -> np.ndarray:
        over, under = sums[..., 0], sums[..., 1]
        return np.asarray(np.divide(over, under, out=np.full(under.shape, np.nan), where=under != 0))

    return _percentiles(ratio(resampled_sums(sums, NUM_RESAMPLES, np.random.default_rng(seed))), confidence)


def set_metric_interval(
    metric: SetMetric, clusters: Clusters = None, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Percentile bootstrap interval of a metric of the whole set, such as a correlation, over clusters.

    Resamples where the metric is not defined are left out. Raises `InputError` for no rows, or if it is defined in no
    resample.
    """
    if not len(metric.rows):
        raise InputError("expected at least one row to take a metric of, but there is none.")
    sums = by_cluster(metric.rows, clusters)
    values = metric.of(resampled_sums(sums, NUM_RESAMPLES, np.random.default_rng(seed)))
    if np.isnan(values).all():
        raise InputError("the metric is defined in no resample of the rows: it needs more of them.")
    return _percentiles(values, confidence)


def reflected_interval(
    metric: SetMetric, clusters: Clusters = None, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Basic bootstrap interval of a metric that is 0 or more and that chance makes larger, as distances are.

    Resamples are as much above the value as the value is above the truth, so that their quantiles are reflected at it
    (Davison and Hinkley 1997, section 5.2.1); it holds the value itself. Raises `InputError` for no rows.
    """
    low, high = set_metric_interval(metric, clusters, confidence, seed)
    value = metric.value
    return Interval(max(0.0, min(2 * value - high, value)), max(2 * value - low, value))


def _wilson(num_right: float, num_rows: float, confidence: float) -> Interval:
    found = binomtest(round(num_right), round(num_rows)).proportion_ci(confidence, method="wilson")
    return Interval(float(found.low), float(found.high))


def _percentiles(values: np.ndarray, confidence: float) -> Interval:
    low, high = np.nanquantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))


# -- comparisons -------------------------------------------------------------------------------------------------------


def compare(
    first: Sequence[float],
    second: Sequence[float],
    clusters: Clusters = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Compares two models' mean scores on the same rows.

    McNemar's mid-p test for independent rows that are 0 or 1, else a permutation test. Raises `InputError` if the two
    do not have the same number of rows, or none.
    """
    before, after = _paired(first, second)
    is_binary = clusters is None and np.isin((before, after), (0, 1)).all()
    differences = (after - before)[:, None]
    return Comparison(
        difference=float(differences.mean()),
        **_difference_interval(before, after, clusters, confidence)._asdict(),
        p_value=mcnemar(first, second) if is_binary else _sign_flip(by_cluster(differences, clusters), seed),
        test="mcnemar" if is_binary else "permutation",
        num_rows=len(before),
    )


def compare_set_metric(
    first: SetMetric, second: SetMetric, clusters: Clusters = None, confidence: float = 0.95, seed: int = 0
) -> Comparison:
    """Compares two models by a metric of the whole set: a permutation test, and a paired bootstrap's interval.

    Both metrics must be of the same rows in the same order. Raises `InputError` if they are not, or where the metric is
    defined for neither model or in no resample.
    """
    _paired(first.rows, second.rows)
    columns = first.rows.shape[1]
    sums = by_cluster(np.concatenate((first.rows, second.rows), axis=1), clusters)
    rng = np.random.default_rng(seed)
    drawn = resampled_sums(sums, NUM_RESAMPLES, rng)
    resampled = second.of(drawn[:, columns:]) - first.of(drawn[:, :columns])
    if np.isnan(resampled).all():
        raise InputError("the metric is defined in no resample of the rows: it needs more of them.")

    whole = sums.sum(0)

    def difference(swapped: np.ndarray) -> np.ndarray:
        return np.asarray(second.of(whole[columns:] - swapped) - first.of(whole[:columns] + swapped))

    low, high = _percentiles(resampled, confidence)
    if low == high:  # the two agree on all rows: no surer than of a rate on as many clusters
        low, high = _difference_interval(np.zeros(len(sums)), np.zeros(len(sums)), None, confidence)
    return Comparison(
        difference=second.value - first.value,
        low=low,
        high=high,
        p_value=_permutation(sums[:, columns:] - sums[:, :columns], difference, rng),
        test="permutation",
        num_rows=len(first.rows),
    )


def mcnemar(first: Sequence[float], second: Sequence[float]) -> float:
    """McNemar's (1947) two-sided mid-p value that two models of 0/1 scores on the same rows are right equally often.

    Of the rows where only one of them is right, each is as likely to be that one. The outcome itself counts half, which
    the exact test counts whole and is too careful for (Fagerland, Lydersen and Laake 2013).
    """
    before, after = _paired(first, second)
    only_first, only_second = int((before > after).sum()), int((after > before).sum())
    num_discordant, fewer = only_first + only_second, min(only_first, only_second)
    if only_first == only_second:
        return 1.0
    outcome = binom.pmf(fewer, num_discordant, 0.5)
    return float(2 * binom.cdf(fewer, num_discordant, 0.5) - outcome)


def holm(p_values: Sequence[float], families: Sequence[Hashable] | None = None) -> list[float]:
    """Holm's (1979) adjusted p-values: the chance of any false finding among all comparisons stays at the level.

    Comparisons of one family (the radii of one curve) count once, by the smallest of their p-values.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    families = range(len(p_values)) if families is None else families
    smallest: dict[Hashable, float] = {}
    for family, p_value in zip(families, p_values, strict=True):
        smallest[family] = min(p_value, smallest.get(family, 1.0))
    least = 0.0
    found: dict[Hashable, tuple[int, float]] = {}
    for rank, family in enumerate(sorted(smallest, key=smallest.__getitem__)):
        num_left = len(smallest) - rank
        least = max(least, min(1.0, num_left * smallest[family]))
        found[family] = num_left, least
    return [
        max(least, min(1.0, num_left * p_value))
        for p_value, (num_left, least) in zip(p_values, map(found.__getitem__, families), strict=True)
    ]


def _sign_flip(differences: np.ndarray, seed: int) -> float:
    """p-value that the sum of differences ``[clusters, 1]`` is as far from zero where the sign of each is a coin's."""
    total = differences.sum(0)
    return _permutation(
        differences, lambda swapped: np.asarray(total - 2 * swapped)[..., 0], np.random.default_rng(seed)
    )


def _permutation(
    differences: np.ndarray, difference: Callable[[np.ndarray], np.ndarray], rng: np.random.Generator
) -> float:
    """Two-sided p-value of ``difference``, of which the argument are sums over the swapped of ``differences``.

    Under the hypothesis of no difference, each cluster's two outcomes may as well be each other's. The observed one is
    among the draws, so that the p-value is never 0 (Davison and Hinkley 1997, section 4.2.5).
    """
    swapped, is_exact = swapped_sums(differences, NUM_RESAMPLES, rng)
    observed = abs(float(difference(np.zeros(differences.shape[1]))))
    found = np.abs(np.nan_to_num(difference(swapped)))
    # Sums in another order differ in rounding.
    num_as_far = int((found >= observed - 1e-9 * max(observed, 1.0)).sum())
    return num_as_far / len(found) if is_exact else (num_as_far + 1) / (len(found) + 1)


def _difference_interval(before: np.ndarray, after: np.ndarray, clusters: Clusters, confidence: float) -> Interval:
    """Interval of the mean difference: Student's over clusters, to which one is added that differs each way.

    The two, which differ by as much as scores do, keep it from certainty where all rows agree. Of independent rows that
    are 0 or 1 it is that of Bonett and Price (2012), with the deviation estimated. Scores in [0, 1] cannot differ by
    more than 1, which it would exceed where rows are few.
    """
    sums = by_cluster(np.stack((after - before, np.ones_like(before)), axis=1), clusters)
    num_clusters, mean_size = len(sums), len(before) / len(sums)
    mean = (after - before).mean()
    of_clusters = mean + (sums[:, 0] - mean * sums[:, 1]) / mean_size
    largest = max(np.ptp((before, after)), 1.0 if np.isin((before, after), (0, 1)).all() else 0.0)
    widened = np.concatenate((of_clusters, (-largest, largest)))
    half = t.ppf((1 + confidence) / 2, num_clusters + 1) * widened.std(ddof=1) / len(widened) ** 0.5
    centre = widened.mean()
    scores = np.concatenate((before, after))
    bound = 1.0 if scores.min() >= 0 and scores.max() <= 1 else np.inf
    return Interval(max(float(centre - half), -bound), min(float(centre + half), bound))


def _paired(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(first) != len(second) or len(first) == 0:
        raise InputError(
            f"expected the scores of two models on the same rows, but there are {len(first)} and {len(second)}: "
            "compare models that were measured on the same part of a suite."
        )
    return np.asarray(first, float), np.asarray(second, float)
