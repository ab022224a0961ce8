"""Summaries of row records: scores of a model with intervals, and differences between two models."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any, Literal

from alum.attacks.condition import LOG_LIKELIHOOD, Condition
from alum.evaluation.scores.row_records import ROW
from alum.evaluation.scores.set_metrics import SetMetric
from alum.evaluation.scores.statistics import (
    Clusters,
    Interval,
    compare,
    compare_set_metric,
    holm,
    mean_interval,
    ratio_interval,
    set_metric_interval,
)

AttackFamily = Literal["noise", "embedding", "text"]


@dataclass(frozen=True)
class Measurement:
    """Records of a model on the rows of a suite: clean, or under an attack of some ``family``.

    A record has the row's number and its ``scores`` by metric and, of an attack on texts, its ``outcome``,
    ``num_queries`` and ``changed_share``. ``groups`` has the name of each record's group, and ``clusters`` of the rows
    that it belongs together with; both may be empty. ``set_metrics`` are of all records.
    """

    model: str
    condition: Condition
    family: AttackFamily | None
    records: Sequence[Mapping[str, Any]]
    groups: Sequence[str] = ()
    clusters: Sequence[str] = ()
    set_metrics: Mapping[str, SetMetric] = field(default_factory=dict)
    _levels: dict[tuple[int, ...], list[dict[str, Any]]] = field(default_factory=dict, repr=False, compare=False)
    """Levels by the rows that they are of: clean ones are asked for again by each attack on the same rows."""

    def levels(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        """Each metric over some rows: means of the rows' scores, and metrics of the set that they are."""
        rows = tuple(indices)
        if rows not in self._levels:
            clusters = self.clusters_of(rows)
            rates = [
                _rate(self.condition.metric_name(metric), self.scores_at(rows, metric), clusters)
                for metric in self.records[rows[0]]["scores"]
            ]
            self._levels[rows] = rates + _of_sets(self, rows)
        return [dict(level) for level in self._levels[rows]]

    def scores_at(self, indices: Sequence[int], metric: str) -> list[float]:
        return [self.records[i]["scores"][metric] for i in indices]

    def clusters_of(self, indices: Sequence[int]) -> Clusters:
        return [self.clusters[i] for i in indices] if self.clusters else None


def scores_of(measurement: Measurement, clean: Measurement | None = None) -> list[dict[str, Any]]:
    """Sums up a measurement for ``results.json``: each metric over all rows and by group, with its 95 % interval.

    With the ``clean`` measurement of the same model and suite, a score under an attack has the clean score of the very
    same rows beside it, since an attack is often measured on few of them.
    """
    found, where = [], {"model": measurement.model, **asdict(measurement.condition)}
    places = {} if clean is None else {record[ROW]: index for index, record in enumerate(clean.records)}
    sizes = Counter(measurement.groups)
    for group in (None, *sorted(group for group, size in sizes.items() if size > 1)):
        indices = [i for i in range(len(measurement.records)) if group is None or measurement.groups[i] == group]
        levels = measurement.levels(indices)
        if clean is not None and measurement.family is not None:
            same_rows = [places[measurement.records[i][ROW]] for i in indices]
            beside = {measurement.condition.metric_name(level["metric"]): level for level in clean.levels(same_rows)}
            for level in levels:
                level["clean"] = {name: beside[level["metric"]][name] for name in ("value", "low", "high")}
        if measurement.family == "text":
            levels += _costs_of_attack([measurement.records[i] for i in indices], measurement.clusters_of(indices))
        found += [{**where, "group": group, **level} for level in levels]
    return found


def comparisons_of(baseline: Measurement, other: Measurement) -> list[dict[str, Any]]:
    """Compares a model with a baseline for ``results.json``: its lead in each metric, on the rows of both.

    Without ``p_adjusted``, which depends on all comparisons of an evaluation: see `adjusted`.
    """
    ours, theirs = ({record[ROW]: i for i, record in enumerate(m.records)} for m in (baseline, other))
    rows = [row for row in ours if row in theirs]
    first, second = [ours[row] for row in rows], [theirs[row] for row in rows]
    clusters = [baseline.clusters[i] for i in first] if baseline.clusters else None
    found = {}
    for metric in baseline.records[0]["scores"]:
        found[metric] = compare(baseline.scores_at(first, metric), other.scores_at(second, metric), clusters)
    for metric, of_baseline in baseline.set_metrics.items():
        if of_baseline.is_error:
            continue
        pair = of_baseline.at(first), other.set_metrics[metric].at(second)
        if all(math.isfinite(one.value) for one in pair):
            found[metric] = compare_set_metric(*pair, clusters)
    return [
        {
            **asdict(baseline.condition),
            "metric": baseline.condition.metric_name(metric),
            "baseline": baseline.model,
            "model": other.model,
            **asdict(comparison),
        }
        for metric, comparison in found.items()
    ]


def adjusted(comparisons: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Adds ``p_adjusted`` by Holm over the comparisons of an evaluation; the radii of one curve count once.

    Likelihoods are adjusted apart, so that what can be said of the scores does not depend on them.
    """
    p_values: dict[int, float] = {}
    for of_likelihoods in (False, True):
        numbers = [
            i for i, entry in enumerate(comparisons) if entry["metric"].endswith(LOG_LIKELIHOOD) == of_likelihoods
        ]
        curves = [
            tuple(comparisons[i][name] for name in ("suite", "attack", "metric", "baseline", "model")) for i in numbers
        ]
        p_values |= zip(numbers, holm([comparisons[i]["p_value"] for i in numbers], curves), strict=True)
    return [{**entry, "p_adjusted": p_values[i]} for i, entry in enumerate(comparisons)]


def _rate(name: str, values: Sequence[float], clusters: Clusters) -> dict[str, Any]:
    return _row(name, fmean(values), mean_interval(values, clusters), len(values))


def _costs_of_attack(records: Sequence[Mapping[str, Any]], clusters: Clusters) -> list[dict[str, Any]]:
    """How often the attack succeeded where the answer was right before, and at what price."""
    attacked = [float(record["outcome"] != "skipped") for record in records]
    succeeded = [float(record["outcome"] == "succeeded") for record in records]
    changed = [record["changed_share"] * success for record, success in zip(records, succeeded, strict=True)]
    queries = [record["num_queries"] * tried for record, tried in zip(records, attacked, strict=True)]
    found = []
    for name, amounts, over in (
        ("attack_success_rate", succeeded, attacked),
        ("changed_word_share", changed, succeeded),
        ("mean_queries", queries, attacked),
    ):
        if any(over):
            found.append(_row(name, sum(amounts) / sum(over), ratio_interval(amounts, over, clusters), int(sum(over))))
    return found + _kept_meaning(records, clusters)


def _kept_meaning(records: Sequence[Mapping[str, Any]], clusters: Clusters) -> list[dict[str, Any]]:
    """Means of what successful attacks left of the texts' meaning, of the figures that were measured.

    Ratios of perplexities have a geometric mean, or one word in a hundred would be all of it.
    """
    found = []
    for name, into, back in (
        ("changed_content_share", float, float),
        ("similarity", float, float),
        ("perplexity_ratio", math.log, math.exp),
    ):
        values = [record.get(name) if record["outcome"] == "succeeded" else None for record in records]
        over = [float(value is not None) for value in values]
        if any(over):
            amounts = [0.0 if value is None else into(value) for value in values]
            ends = ratio_interval(amounts, over, clusters)
            interval = None if ends is None else Interval(back(ends.low), back(ends.high))
            found.append(_row(name, back(sum(amounts) / sum(over)), interval, int(sum(over))))
    return found


def _of_sets(measurement: Measurement, indices: Sequence[int]) -> list[dict[str, Any]]:
    found = []
    for name, whole in measurement.set_metrics.items():
        metric = whole.at(indices)
        value, clusters = metric.value, measurement.clusters_of(indices)
        is_defined = math.isfinite(value)
        interval = set_metric_interval(metric, clusters) if is_defined else None
        named = measurement.condition.metric_name(name)
        found.append(_row(named, value if is_defined else None, interval, len(indices)))
    return found


def _row(metric: str, value: float | None, interval: Interval | None, num_rows: int) -> dict[str, Any]:
    low, high = interval or (None, None)
    return {"metric": metric, "value": value, "low": low, "high": high, "num_rows": num_rows, "clean": None}
