"""Comparisons of arms with a baseline, each with its difference over seeds: adjusted for each other, and in reach."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from alum.evaluation.scores.seeds import SeedSpread
from alum.evaluation.scores.statistics import holm
from alum.reports.numbers import is_loss, is_rate, shows_difference
from alum.reports.study.record import ArmComparison, ArmScore

STUDY_SCHEMA_VERSION = 1
SIGNIFICANT_DIFFERENCE = 0.05
_MOST_TIMES_AS_MANY = 10
_CORRELATIONS = ("matthews_correlation", "pearson", "spearman")


class Measure(NamedTuple):
    """Metric of a task, without an attack or under one, by which arms are compared."""

    task: str
    attack: str | None
    epsilon: float | None
    metric: str
    is_main: bool

    @property
    def curve(self) -> tuple[Any, ...]:
        return self.task, self.attack, self.metric


class ArmDifference(NamedTuple):
    """Difference of an arm from a baseline; ``num_rows`` is None where rows are not known."""

    measure: Measure
    arm: str
    baseline: str
    spread: SeedSpread
    num_rows: int | None


def arm_score(
    measure: Measure, arm: str, spread: SeedSpread, by_seed: Mapping[int, float], num_rows: int | None
) -> ArmScore:
    """Makes the entry of an arm's mean over seeds."""
    low, high = spread.interval(bounds=_range_of(measure.metric))
    return ArmScore(
        task=measure.task,
        attack=measure.attack,
        epsilon=measure.epsilon,
        metric=measure.metric,
        is_main=measure.is_main,
        arm=arm,
        value=spread.value,
        low=low,
        high=high,
        num_rows=num_rows,
        by_seed={str(seed): value for seed, value in sorted(by_seed.items())},
    )


def _range_of(metric: str) -> tuple[float, float]:
    """Least and largest value that a metric can have."""
    if is_rate(metric):
        return 0.0, 1.0
    return (-1.0, 1.0) if metric in _CORRELATIONS else (-math.inf, math.inf)


def compared_arms(differences: Sequence[ArmDifference]) -> list[ArmComparison]:
    """Entries of the comparisons with one baseline, adjusted for each other; the radii of a curve count once."""
    adjusted = _adjusted(differences, 0)
    sooner = _more_seeds(differences, adjusted)
    entries = []
    for one, p_adjusted, more_seeds in zip(differences, adjusted, sooner, strict=True):
        is_clear = p_adjusted < SIGNIFICANT_DIFFERENCE and shows_difference(one.measure.metric, one.spread.value)
        is_better = (one.spread.value > 0) != is_loss(one.measure.metric)
        low, high = one.spread.interval()
        entries.append(
            ArmComparison(
                task=one.measure.task,
                attack=one.measure.attack,
                epsilon=one.measure.epsilon,
                metric=one.measure.metric,
                is_main=one.measure.is_main,
                arm=one.arm,
                baseline=one.baseline,
                difference=one.spread.value,
                low=low,
                high=high,
                p_value=one.spread.p_value(),
                p_adjusted=p_adjusted,
                verdict=("better" if is_better else "worse") if is_clear else "undecided",
                num_seeds=one.spread.num_seeds,
                num_rows=one.num_rows,
                more_seeds=more_seeds,
            )
        )
    return entries


def _adjusted(differences: Sequence[ArmDifference], more_seeds: int) -> list[float]:
    p_values = [one.spread.p_value(one.spread.num_seeds + more_seeds) for one in differences]
    return holm(p_values, [(one.arm, *one.measure.curve) for one in differences])


def _more_seeds(differences: Sequence[ArmDifference], now: Sequence[float]) -> list[int | None]:
    """Number of further seeds with which each undecided comparison would be decided, all else as it is."""
    found: list[int | None] = [None] * len(now)
    most = _MOST_TIMES_AS_MANY * max((one.spread.num_seeds for one in differences), default=0)
    for more in range(1, most + 1):
        for index, p_value in enumerate(_adjusted(differences, more)):
            undecided = now[index] >= SIGNIFICANT_DIFFERENCE
            if undecided and found[index] is None and p_value < SIGNIFICANT_DIFFERENCE:
                found[index] = more
    return found
