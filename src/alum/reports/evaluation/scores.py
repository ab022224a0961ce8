"""The scores of an evaluation by model and measure."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alum.reports.evaluation.record import ComparisonRecord, EvaluationRecord, ScoreRecord
from alum.reports.numbers import MISSING, interval_text, value_text

ATTACK_METRICS = ("attack_success_rate", "changed_word_share", "mean_queries")


@dataclass(frozen=True)
class Measure:
    """What a model is measured on: a suite, clean (no attack) or under an attack, which may have a radius.

    >>> Measure("sst2", "pgd", 0.03).condition
    'pgd, ε 0.03'
    """

    suite: str
    attack: str | None = None
    epsilon: float | None = None

    @property
    def condition(self) -> str:
        if self.attack is None:
            return "clean"
        return self.attack if self.epsilon is None else f"{self.attack}, ε {self.epsilon:g}"


class Scores:
    """The scores of a record, by model, measure, group of rows and metric."""

    def __init__(self, results: EvaluationRecord) -> None:
        self.models = [model["name"] for model in results["models"]]
        self._main_metrics = {suite["name"]: suite["main_metric"] for suite in results["suites"]}
        self._found: dict[tuple[str, Measure, str | None, str], ScoreRecord] = {}
        for score in results["scores"]:
            measure = Measure(score["suite"], score["attack"], score["epsilon"])
            self._found[score["model"], measure, score["group"], score["metric"]] = score
        attacks = {attack["name"]: number for number, attack in enumerate(results["attacks"])}
        suites = {name: number for number, name in enumerate(self._main_metrics)}
        self.measures = sorted(
            {measure for _, measure, _, _ in self._found},
            key=lambda measure: (
                suites.get(measure.suite, len(suites)),
                measure.suite,
                measure.attack is not None,
                attacks.get(measure.attack or "", len(attacks)),
                measure.attack or "",
                measure.epsilon or 0.0,
            ),
        )
        """Clean first, then the attacks, each by growing radius; suites and attacks in the record's order."""

    def main_metric(self, measure: Measure) -> str:
        metric = self._main_metrics.get(measure.suite, "accuracy")
        return metric if measure.attack is None else f"robust_{metric}"

    def compared(self, entry: ComparisonRecord) -> str:
        """What is compared: the condition, and the metric where it is another than the suite's main one."""
        measure, metric = measure_of(entry), entry["metric"]
        if metric == self.main_metric(measure):
            return measure.condition
        return f"{measure.condition}, {metric.removeprefix('robust_').replace('_', ' ')}"

    def num_rows(self, measure: Measure) -> int:
        """How many rows the measure is of, at most."""
        return max((score["num_rows"] for score in self.row(measure) if score), default=0)

    def main(self, model: str, measure: Measure, group: str | None = None) -> ScoreRecord | None:
        """The metric that counts on the suite, clean or under attack; None where it was not measured."""
        return self.of(model, measure, self.main_metric(measure), group)

    def of(self, model: str, measure: Measure, metric: str, group: str | None = None) -> ScoreRecord | None:
        return self._found.get((model, measure, group, metric))

    def row(self, measure: Measure, group: str | None = None) -> list[ScoreRecord | None]:
        """The main score of each model."""
        return [self.main(model, measure, group) for model in self.models]

    def measures_of(self, suite: str) -> list[Measure]:
        return [measure for measure in self.measures if measure.suite == suite]

    def groups(self, suite: str) -> list[str]:
        """In the record's order."""
        found = (group for _, measure, group, _ in self._found if measure.suite == suite and group is not None)
        return list(dict.fromkeys(found))


def measure_of(entry: ComparisonRecord) -> Measure:
    return Measure(entry["suite"], entry["attack"], entry["epsilon"])


def best_of(values: Sequence[float | None]) -> set[int]:
    """The indices of the highest values; none where there is nothing to choose between."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if len(known) < 2 or min(known) == max(known):
        return set()
    return {index for index, value in enumerate(values) if value == max(known)}


def texts_of(score: ScoreRecord | None) -> tuple[str, str]:
    """Value and interval, as far as there are any."""
    if score is None:
        return MISSING, ""
    metric = score["metric"]
    return value_text(metric, score["value"]), interval_text(metric, score["low"], score["high"])


def listed(names: Iterable[str]) -> str:
    """Names in a sentence.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
