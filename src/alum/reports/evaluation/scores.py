"""Scores of an evaluation, looked up by model, suite and attack in its record."""

import math
from collections.abc import Iterable, Sequence

from alum.attacks.condition import ROBUST, Condition
from alum.reports.evaluation.record import ComparisonRecord, EvaluationRecord, ScoreRecord
from alum.reports.numbers import MISSING, interval_text, value_text

ATTACK_METRICS = ("attack_success_rate", "changed_word_share", "mean_queries")


class Scores:
    """Scores of an evaluation's record, looked up by model, condition, group of rows and metric."""

    def __init__(self, results: EvaluationRecord) -> None:
        self.models = [model["name"] for model in results["models"]]
        self._main_metrics = {suite["name"]: suite["main_metric"] for suite in results["suites"]}
        self._found: dict[tuple[str, Condition, str | None, str], ScoreRecord] = {}
        for score in results["scores"]:
            self._found[score["model"], condition_of(score), score["group"], score["metric"]] = score
        attacks = {attack["name"]: number for number, attack in enumerate(results["attacks"])}
        suites = {name: number for number, name in enumerate(self._main_metrics)}
        self.conditions = sorted(
            {condition for _, condition, _, _ in self._found},
            key=lambda condition: (
                suites.get(condition.suite, len(suites)),
                condition.suite,
                condition.attack is not None,
                attacks.get(condition.attack or "", len(attacks)),
                condition.attack or "",
                condition.epsilon or 0.0,
            ),
        )
        """Conditions by suite, clean first, each attack by growing radius; suites and attacks in the record's order."""

    def main_metric(self, condition: Condition) -> str:
        return condition.metric_name(self._main_metrics.get(condition.suite, "accuracy"))

    def compared(self, entry: ComparisonRecord) -> str:
        """Names what a comparison is of: the condition, and the metric where that is not the suite's main one."""
        condition, metric = condition_of(entry), entry["metric"]
        if metric == self.main_metric(condition):
            return condition.name
        return f"{condition.name}, {metric.removeprefix(ROBUST).replace('_', ' ')}"

    def num_rows(self, condition: Condition) -> int:
        """Number of rows that a condition's main scores are over, the largest where models differ."""
        return max((score["num_rows"] for score in self.row(condition) if score), default=0)

    def main(self, model: str, condition: Condition, group: str | None = None) -> ScoreRecord | None:
        """Score of a model by the suite's main metric, clean or under attack; None where it was not measured."""
        return self.of(model, condition, self.main_metric(condition), group)

    def of(self, model: str, condition: Condition, metric: str, group: str | None = None) -> ScoreRecord | None:
        return self._found.get((model, condition, group, metric))

    def row(self, condition: Condition, group: str | None = None) -> list[ScoreRecord | None]:
        """Main score of each model on a condition, in the order of the models."""
        return [self.main(model, condition, group) for model in self.models]

    def conditions_of(self, suite: str) -> list[Condition]:
        return [condition for condition in self.conditions if condition.suite == suite]

    def groups(self, suite: str) -> list[str]:
        """Names of a suite's groups of rows, in the record's order."""
        found = (group for _, condition, group, _ in self._found if condition.suite == suite and group is not None)
        return list(dict.fromkeys(found))


def condition_of(entry: ScoreRecord | ComparisonRecord) -> Condition:
    return Condition(entry["suite"], entry["attack"], entry["epsilon"])


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
