"""Statistics of scores: bootstrap intervals over rows, and paired comparisons of two models on the same rows.

Intervals are percentile bootstrap intervals (Efron 1979): rows are drawn anew, each as often as the others.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy.stats import DegenerateDataWarning, binomtest, bootstrap

from alum.core.errors import InputError

NUM_RESAMPLES = 1999
_NUMBERS_AT_ONCE = 10**7


class Interval(NamedTuple):
    """Confidence interval of a score, by its ends."""

    low: float
    high: float


class PairedBootstrap(NamedTuple):
    """Result of a paired bootstrap: mean of second - first, its interval, two-sided p-value of no difference."""

    difference: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """Comparison of two models on the same rows: the second's mean score minus the first's, interval and p-value.

    The interval is a paired bootstrap's.
    """

    difference: float
    low: float
    high: float
    p_value: float
    test: Literal["mcnemar", "paired_bootstrap"]
    num_rows: int


def bootstrap_interval(scores: Sequence[float], confidence: float = 0.95, seed: int = 0) -> Interval:
    """Bootstrap interval of the mean of per-row scores.

    Where all rows are 0, or all are 1, every resample is the same and the bootstrap would claim to be certain: the
    interval is Clopper and Pearson's (1934) instead. Raises `InputError` for no rows.
    """
    return ratio_interval(scores, [1.0] * len(scores), confidence, seed)


def ratio_interval(
    numerators: Sequence[float], denominators: Sequence[float], confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Bootstrap interval of the sum of ``numerators`` over the sum of ``denominators``, both of them one a row.

    For rates whose denominator is random too: attacks that succeeded over rows that were attacked, or the mean share
    of changed words over successes (0 and 0 in the other rows). Resamples whose denominator is 0 are left out. Rates
    that are 0 or 1 throughout have Clopper and Pearson's interval. Raises `InputError` if all denominators are 0.
    """
    over, under = np.asarray(numerators, float), np.asarray(denominators, float)
    if not under.any():
        raise InputError("expected at least one row to take a rate over, but there is none.")
    extreme = not over.any() or np.array_equal(over, under)
    if extreme and np.isin(under, (0, 1)).all():
        found = binomtest(int(over.sum()), int(under.sum())).proportion_ci(confidence, method="exact")
        return Interval(float(found.low), float(found.high))

    def ratio(over: np.ndarray, under: np.ndarray, axis: int = -1) -> Any:
        sums = under.sum(axis)
        return np.divide(over.sum(axis), sums, out=np.full(np.shape(sums), np.nan), where=sums != 0)

    return _interval(_resampled(ratio, (over, under), seed, vectorized=True), confidence)


def resampled_interval(
    statistic: Callable[[np.ndarray], float],
    num_rows: int,
    confidence: float = 0.95,
    seed: int = 0,
    num_resamples: int = 999,
) -> Interval:
    """Bootstrap interval of a statistic of the whole set, such as a correlation.

    ``statistic`` takes the indices of a resample's rows, some of them several times. Resamples where it is NaN, because
    it is not defined there, are left out. Raises `InputError` for no rows, or if it is defined in no resample.
    """
    if num_rows == 0:
        raise InputError("expected at least one row to take a statistic of, but there is none.")

    def of_rows(rows: np.ndarray) -> float:
        return statistic(rows.astype(int))

    distribution = _resampled(of_rows, (np.arange(num_rows),), seed, vectorized=False, num_resamples=num_resamples)
    if np.isnan(distribution).all():
        raise InputError("the statistic is defined in no resample of the rows: it needs more of them.")
    return _interval(distribution, confidence)


def mcnemar(first: Sequence[float], second: Sequence[float]) -> float:
    """McNemar's exact two-sided p-value that two models of 0/1 scores on the same rows are right equally often.

    McNemar 1947: of the rows where only one of them is right, each is as likely to be that one.
    """
    before, after = _paired(first, second)
    only_first, only_second = int((before > after).sum()), int((after > before).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second).pvalue)


def paired_bootstrap(
    first: Sequence[float], second: Sequence[float], confidence: float = 0.95, seed: int = 0
) -> PairedBootstrap:
    """Compares two models' mean scores on the same rows by a paired bootstrap, with interval and p-value.

    Rows are resampled with both models' scores, so that what makes a row hard for both cancels.

    The p-value is twice the smaller share of resamples whose difference is at most, or at least, zero, the observed
    rows counted as one resample that is, so that it is never 0 (Davison and Hinkley 1997, section 4.2.5).
    """
    before, after = _paired(first, second)
    differences = after - before
    found = _resampled(_mean, (differences,), seed, vectorized=True)
    rarer = min((found <= 0).sum(), (found >= 0).sum())
    p_value = min(1.0, 2 * (rarer + 1) / (len(found) + 1))
    return PairedBootstrap(float(differences.mean()), *_interval(found, confidence), float(p_value))


def compare(first: Sequence[float], second: Sequence[float], confidence: float = 0.95, seed: int = 0) -> Comparison:
    """Compares two models' scores on the same rows: McNemar's test where all are 0 or 1, else a paired bootstrap.

    Raises `InputError` if the two do not have the same number of rows, or none.
    """
    resampled = paired_bootstrap(first, second, confidence, seed)
    is_binary = np.isin([*first, *second], (0, 1)).all()
    return Comparison(
        difference=resampled.difference,
        low=resampled.low,
        high=resampled.high,
        p_value=mcnemar(first, second) if is_binary else resampled.p_value,
        test="mcnemar" if is_binary else "paired_bootstrap",
        num_rows=len(first),
    )


def _mean(values: np.ndarray, axis: int = -1) -> Any:
    return values.mean(axis)


def _paired(first: Sequence[float], second: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    if len(first) != len(second) or len(first) == 0:
        raise InputError(
            f"expected the scores of two models on the same rows, but there are {len(first)} and {len(second)}: "
            "compare models that were measured on the same part of a suite."
        )
    return np.asarray(first, float), np.asarray(second, float)


def _resampled(
    statistic: Callable[..., Any],
    columns: tuple[np.ndarray, ...],
    seed: int,
    vectorized: bool,
    num_resamples: int = NUM_RESAMPLES,
) -> np.ndarray:
    """The statistic of each resample, ``[resamples]``; rows stay together across ``columns``."""
    if len(columns[0]) == 1:  # which SciPy refuses, and where all resamples are the one there is
        return np.full(num_resamples, statistic(*columns))
    with warnings.catch_warnings():
        # Of resamples where the statistic is NaN, which the quantiles leave out.
        warnings.simplefilter("ignore", DegenerateDataWarning)
        found = bootstrap(
            columns,
            statistic,
            paired=True,
            vectorized=vectorized,
            n_resamples=num_resamples,
            batch=max(_NUMBERS_AT_ONCE // len(columns[0]), 1),
            method="percentile",
            random_state=np.random.default_rng(seed),
        )
    return np.asarray(found.bootstrap_distribution, float)


def _interval(distribution: np.ndarray, confidence: float) -> Interval:
    low, high = np.nanquantile(distribution, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))
