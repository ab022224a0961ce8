"""Summaries of row records: scores of a model with intervals, and differences between two models."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, Literal

import numpy as np

from alum.attacks.condition import Condition
from alum.evaluation.scores.row_records import ROW
from alum.evaluation.scores.statistics import Interval, bootstrap_interval, compare, ratio_interval, resampled_interval

AttackFamily = Literal["noise", "embedding", "text"]
# Metrics of all of some rows, which are given by their indices.
SetMetrics = Callable[[Sequence[int]], Mapping[str, float]]


@dataclass(frozen=True)
class Measurement:
    """Records of a model on the rows of a suite: clean, or under an attack of some ``family``.

    A record has the row's number and its ``scores`` by metric and, of an attack on texts, its ``outcome``,
    ``num_queries`` and ``changed_share``. ``groups`` has the name of each record's group, or is empty.
    """

    model: str
    condition: Condition
    family: AttackFamily | None
    records: Sequence[Mapping[str, Any]]
    groups: Sequence[str] = ()
    set_metrics: SetMetrics | None = None


def scores_of(measurement: Measurement) -> list[dict[str, Any]]:
    """Sums up a measurement for ``results.json``: each metric over all rows and by group, with its 95 % interval."""
    found, where = [], {"model": measurement.model, **asdict(measurement.condition)}
    for group in (None, *dict.fromkeys(measurement.groups)):
        indices = [i for i in range(len(measurement.records)) if group is None or measurement.groups[i] == group]
        records = [measurement.records[i] for i in indices]
        rates = [_rate(measurement.condition.metric_name(metric), records, metric) for metric in records[0]["scores"]]
        if measurement.family == "text":
            rates += _costs_of_attack(records)
        if measurement.set_metrics is not None:
            rates += _of_sets(measurement, indices)
        found += [{**where, "group": group, **rate} for rate in rates]
    return found


def comparisons_of(baseline: Measurement, other: Measurement) -> list[dict[str, Any]]:
    """Compares a model with a baseline for ``results.json``: its lead in each metric, on the rows of both."""
    ours, theirs = ({record[ROW]: record["scores"] for record in m.records} for m in (baseline, other))
    rows = [row for row in ours if row in theirs]
    found = []
    for metric in baseline.records[0]["scores"]:
        first, second = ([scores[row][metric] for row in rows] for scores in (ours, theirs))
        found.append(
            {
                **asdict(baseline.condition),
                "metric": baseline.condition.metric_name(metric),
                "baseline": baseline.model,
                "model": other.model,
                **asdict(compare(first, second)),
            }
        )
    return found


def _rate(name: str, records: Sequence[Mapping[str, Any]], metric: str) -> dict[str, Any]:
    values = [record["scores"][metric] for record in records]
    return _row(name, fmean(values), bootstrap_interval(values), len(values))


def _costs_of_attack(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
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
            found.append(_row(name, sum(amounts) / sum(over), ratio_interval(amounts, over), int(sum(over))))
    return found


def _of_sets(measurement: Measurement, indices: Sequence[int]) -> list[dict[str, Any]]:
    assert measurement.set_metrics is not None
    of_rows = measurement.set_metrics
    found = []
    for name, value in of_rows(indices).items():

        def drawn(positions: np.ndarray, name: str = name) -> float:
            return of_rows([indices[position] for position in positions])[name]

        is_defined = math.isfinite(value)
        interval = resampled_interval(drawn, len(indices)) if is_defined else None
        metric = measurement.condition.metric_name(name)
        found.append(_row(metric, value if is_defined else None, interval, len(indices)))
    return found


def _row(metric: str, value: float | None, interval: Interval | None, num_rows: int) -> dict[str, Any]:
    low, high = interval or (None, None)
    return {"metric": metric, "value": value, "low": low, "high": high, "num_rows": num_rows}
