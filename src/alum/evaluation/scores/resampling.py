"""Sums over rows in resamples and in swapped pairs, drawn by kind of row rather than row by row.

Rates, F1, correlations and their differences are functions of sums over rows. Rows with the same values are one kind,
of which a resample has a multinomial number: 50,000 rows that are right or wrong are two kinds. Rows that belong
together (questions on one context, hypotheses to one premise) are drawn together, as one.
"""

from collections.abc import Hashable, Sequence

import numpy as np

_MOST_KINDS = 512
_MOST_DRAWN = 4096  # above, sums of clusters of as many kinds are normal by all that can be told
_NUMBERS_AT_ONCE = 2**22
_MOST_EXACT = 12


def by_cluster(values: np.ndarray, clusters: Sequence[Hashable] | None) -> np.ndarray:
    """Sums ``[clusters, ...]`` of values ``[rows, ...]`` over each cluster's rows; without, a row is one."""
    if clusters is None:
        return values
    numbers: dict[Hashable, int] = {}
    of_rows = np.array([numbers.setdefault(cluster, len(numbers)) for cluster in clusters])
    sums = np.zeros((len(numbers), *values.shape[1:]))
    np.add.at(sums, of_rows, values)
    return sums


def resampled_sums(values: np.ndarray, num_resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Sums ``[resamples, d]`` of as many of the values ``[clusters, d]`` as there are, drawn with replacement."""
    kinds, counts = np.unique(values, axis=0, return_counts=True)
    if len(kinds) <= _MOST_KINDS:
        drawn = rng.multinomial(len(values), counts / len(values), size=num_resamples)
        return np.asarray(drawn @ kinds, float)
    if len(values) > _MOST_DRAWN:
        return _normal_sums(values.mean(0), np.cov(values.T), len(values), num_resamples, rng)
    sums = np.empty((num_resamples, values.shape[1]))
    for some in _parts(num_resamples, values.size):
        sums[some] = values[rng.integers(len(values), size=(some.stop - some.start, len(values)))].sum(1)
    return sums


def swapped_sums(values: np.ndarray, num_draws: int, rng: np.random.Generator) -> tuple[np.ndarray, bool]:
    """Sums ``[draws, d]`` of the values ``[clusters, d]`` of a random half, each with a chance of one half.

    Where there are few clusters all subsets are taken, and True is returned beside them.
    """
    if len(values) <= _MOST_EXACT:
        subsets = np.arange(2 ** len(values))[:, None] >> np.arange(len(values)) & 1
        return subsets @ values, True
    kinds, counts = np.unique(values, axis=0, return_counts=True)
    if len(kinds) <= _MOST_KINDS:
        return rng.binomial(counts, 0.5, size=(num_draws, len(kinds))) @ kinds, False
    if len(values) > _MOST_DRAWN:
        return _normal_sums(values.mean(0) / 2, values.T @ values / 4 / len(values), len(values), num_draws, rng), False
    sums = np.empty((num_draws, values.shape[1]))
    for some in _parts(num_draws, len(values)):
        sums[some] = rng.integers(2, size=(some.stop - some.start, len(values)), dtype=np.int8) @ values
    return sums, False


def _normal_sums(
    mean: np.ndarray, covariance: np.ndarray, num_values: int, num_draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Sums of independent values of one mean and covariance, by the central limit theorem."""
    return rng.multivariate_normal(num_values * mean, num_values * np.atleast_2d(covariance), size=num_draws)


def _parts(number: int, size: int) -> list[slice]:
    at_once = max(_NUMBERS_AT_ONCE // max(size, 1), 1)
    return [slice(start, min(start + at_once, number)) for start in range(0, number, at_once)]
