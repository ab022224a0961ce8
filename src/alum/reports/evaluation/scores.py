"""Scores of an evaluation, looked up by model, suite and attack in its record."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alum.reports.evaluation.record import ComparisonRecord, EvaluationRecord, ScoreRecord
from alum.reports.numbers import MISSING, interval_text, value_text

ATTACK_METRICS = ("attack_success_rate", "changed_word_share", "mean_queries")


@dataclass(frozen=True)
class Measure:
    """Suite and attack that a score is measured with; clean scores have no attack, and not every attack has a radius.

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
    """Scores of an evaluation's record, looked up by model, measure, group of rows and metric."""

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
        """Measures by suite, clean first, each attack by growing radius; suites and attacks in the record's order."""

    def main_metric(self, measure: Measure) -> str:
        metric = self._main_metrics.get(measure.suite, "accuracy")
        return metric if measure.attack is None else f"robust_{metric}"

    def compared(self, entry: ComparisonRecord) -> str:
        """Names what a comparison is of: the condition, and the metric where that is not the suite's main one."""
        measure, metric = measure_of(entry), entry["metric"]
        if metric == self.main_metric(measure):
            return measure.condition
        return f"{measure.condition}, {metric.removeprefix('robust_').replace('_', ' ')}"

    def num_rows(self, measure: Measure) -> int:
        """Number of rows that a measure's main scores are over, the largest where models differ."""
        return max((score["num_rows"] for score in self.row(measure) if score), default=0)

    def main(self, model: str, measure: Measure, group: str | None = None) -> ScoreRecord | None:
        """Score of a model by the suite's main metric, clean or under attack; None where it was not measured."""
        return self.of(model, measure, self.main_metric(measure), group)

    def of(self, model: str, measure: Measure, metric: str, group: str | None = None) -> ScoreRecord | None:
        return self._found.get((model, measure, group, metric))

    def row(self, measure: Measure, group: str | None = None) -> list[ScoreRecord | None]:
        """Main score of each model on a measure, in the order of the models."""
        return [self.main(model, measure, group) for model in self.models]

    def measures_of(self, suite: str) -> list[Measure]:
        return [measure for measure in self.measures if measure.suite == suite]

    def groups(self, suite: str) -> list[str]:
        """Names of a suite's groups of rows, in the record's order."""
        found = (group for _, measure, group, _ in self._found if measure.suite == suite and group is not None)
        return list(dict.fromkeys(found))


def measure_of(entry: ComparisonRecord) -> Measure:
    return Measure(entry["suite"], entry["attack"], entry["epsilon"])


def best_of(values: Sequence[float | None]) -> set[int]:
    """Indices of the highest values; none of fewer than two finite values, or of values that are all equal."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if len(known) < 2 or min(known) == max(known):
        return set()
    return {index for index, value in enumerate(values) if value == max(known)}


def texts_of(score: ScoreRecord | None) -> tuple[str, str]:
    """Texts of a score's value and interval; a dash stands for a value that is missing."""
    if score is None:
        return MISSING, ""
    metric = score["metric"]
    return value_text(metric, score["value"]), interval_text(metric, score["low"], score["high"])


def listed(names: Iterable[str]) -> str:
    """Joins names for a sentence, with commas and a final "and".

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
