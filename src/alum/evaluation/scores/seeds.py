"""Scores and differences of trainings that were repeated with several seeds, with intervals over seeds and rows.

Each seed is measured on the same rows, so that seeds and rows are crossed: a resample draws one set of rows for all
seeds, as in the pigeonhole bootstrap (Owen 2007, arXiv:0712.1111). Rows drawn anew within each seed would take what is
common to all seeds, that some rows are easier for one arm, for chance that more seeds average away. Seeds are few, and
percentiles over resamples of them too narrow, so their part is Student's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from alum.evaluation.scores.resampling import by_cluster, resampled_sums
from alum.evaluation.scores.set_metrics import SetMetric
from alum.evaluation.scores.statistics import NUM_RESAMPLES, Clusters, Interval

_FEW_RESAMPLES = 199  # of metrics that take long
_MOST_SUMS = 64


@dataclass(frozen=True)
class SeedSpread:
    """Value of a mean over seeds, and the variance that seeds and rows each give it.

    ``seed_variance`` is that of one seed, None for a single one, of which nothing is known; ``row_variance`` is that of
    the mean. Degrees of freedom are Satterthwaite's (1946), since three seeds tell little of a variance.
    """

    value: float
    seed_variance: float | None
    row_variance: float
    num_seeds: int
    num_clusters: int

    def interval(self, confidence: float = 0.95, bounds: tuple[float, float] = (-np.inf, np.inf)) -> Interval:
        """Student's interval over seeds and rows, within ``bounds``; of a single seed over rows alone."""
        variance, freedom = self._variance(self.num_seeds)
        half = float(t.ppf((1 + confidence) / 2, freedom)) * variance**0.5
        return Interval(max(self.value - half, bounds[0]), min(self.value + half, bounds[1]))

    def p_value(self, num_seeds: int | None = None) -> float:
        """Two-sided p-value that the value is 0; with ``num_seeds``, what it would be if all else stayed as it is.

        Of a single seed it is 1: two trainings tell nothing of two ways to train.
        """
        if self.seed_variance is None or self.value == 0:
            return 1.0
        variance, freedom = self._variance(num_seeds or self.num_seeds)
        return float(2 * t.sf(abs(self.value) / variance**0.5, freedom)) if variance else 0.0

    def _variance(self, num_seeds: int) -> tuple[float, float]:
        """Variance of the value with so many seeds, and its degrees of freedom."""
        of_rows, rows_freedom = self.row_variance, max(self.num_clusters - 1, 1)
        of_seeds, seeds_freedom = (self.seed_variance or 0.0) / num_seeds, max(num_seeds - 1, 1)
        both = of_seeds + of_rows
        if both == 0:
            return 0.0, float(rows_freedom)
        freedom = both**2 / (of_seeds**2 / seeds_freedom + of_rows**2 / rows_freedom)
        return both, freedom


def mean_metric(scores: Sequence[float]) -> SetMetric:
    """Mean over rows as a metric of the set."""
    rows = np.stack((np.asarray(scores, float), np.ones(len(scores))), axis=1)
    return SetMetric(rows, lambda sums: np.asarray(sums[..., 0] / sums[..., 1]))


def loss_metric(losses: Sequence[float], num_tokens: Sequence[float]) -> SetMetric:
    """Loss per token of rows that have several: sums of losses over their numbers of tokens."""
    rows = np.stack((np.asarray(losses, float), np.asarray(num_tokens, float)), axis=1)
    return SetMetric(rows, lambda sums: np.asarray(sums[..., 0] / sums[..., 1]), is_bounded=False)


def level_over_seeds(metrics: Sequence[SetMetric], clusters: Clusters = None, seed: int = 0) -> SeedSpread:
    """Mean of a metric over seeds, one of ``metrics`` for each, all of the same rows in the same order."""
    values = np.array([metric.value for metric in metrics])
    return _spread(values, _resampled(metrics, clusters, seed), _count(metrics, clusters), metrics[0].is_bounded)


def difference_over_seeds(
    first: Sequence[SetMetric], second: Sequence[SetMetric], clusters: Clusters = None, seed: int = 0
) -> SeedSpread:
    """Mean over seeds of the second arm's metric minus the first's, paired by seed and by row."""
    drawn = _resampled([*first, *second], clusters, seed)
    differences = np.array([b.value - a.value for a, b in zip(first, second, strict=True)])
    resampled = drawn[:, len(first) :] - drawn[:, : len(first)]
    return _spread(differences, resampled, _count(first, clusters), first[0].is_bounded)


def spread_of_values(values: Sequence[float]) -> SeedSpread:
    """Spread of the mean of a value of each seed, over seeds alone, where nothing is known of rows."""
    found = np.asarray(values, float)
    variance = float(found.var(ddof=1)) if len(found) > 1 else None
    return SeedSpread(float(found.mean()), variance, 0.0, len(found), 1)


def _spread(values: np.ndarray, drawn: np.ndarray, num_clusters: int, is_bounded: bool) -> SeedSpread:
    """Spread of the mean of ``values`` ``[seeds]``, of which ``drawn`` ``[resamples, seeds]`` are those of resamples.

    Seeds and rows are crossed: a score has a part of its seed, a part of its row and a rest, which is in the variance
    of seeds and in that of rows, and counts once (Searle, Casella and McCulloch 1992, Variance Components, section
    4.3). Of resamples the variance of one seed's value is that of rows and rest, that of the mean has the rest over the
    number of seeds. Where all rows agree, two more that are off by 1, each way, keep the value from certainty, as in
    `statistics.compare`; rows that count for any number never agree by chance.
    """
    num_seeds = len(values)
    of_mean = float(np.nanvar(drawn.mean(1)))
    least = 2 / ((num_clusters + 1) * (num_clusters + 2)) if is_bounded else 0.0
    if num_seeds == 1:
        return SeedSpread(float(values[0]), None, max(of_mean, least), 1, num_clusters)
    seed_variance = float(values.var(ddof=1))
    rest = (float(np.nanmean(np.nanvar(drawn, axis=0))) - of_mean) / (num_seeds - 1)
    # Seeds and rows together do not vary less than rows alone, whatever the estimates say.
    rows = max(0.0, of_mean - max(rest, 0.0), max(of_mean, least) - seed_variance / num_seeds)
    return SeedSpread(float(values.mean()), seed_variance, rows, num_seeds, num_clusters)


def _resampled(metrics: Sequence[SetMetric], clusters: Clusters, seed: int) -> np.ndarray:
    """Metrics ``[resamples, metrics]`` of resampled rows, the same rows for all of them."""
    widths = [metric.rows.shape[1] for metric in metrics]
    count = NUM_RESAMPLES if max(widths) <= _MOST_SUMS else _FEW_RESAMPLES
    together = by_cluster(np.concatenate([metric.rows for metric in metrics], axis=1), clusters)
    sums = resampled_sums(together, count, np.random.default_rng(seed))
    parts = np.split(sums, np.cumsum(widths)[:-1], axis=1)
    return np.stack([metric.of(part) for metric, part in zip(metrics, parts, strict=True)], axis=1)


def _count(metrics: Sequence[SetMetric], clusters: Clusters) -> int:
    return len(metrics[0].rows) if clusters is None else len(set(clusters))
