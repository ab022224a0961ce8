"""Scores of an evaluation, looked up by model, suite and attack in its record."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alum.attacks.condition import LOG_LIKELIHOOD, ROBUST, Condition
from alum.reports.evaluation.record import CalibrationRecord, ComparisonRecord, EvaluationRecord, ScoreRecord
from alum.reports.numbers import MISSING, interval_text, value_text

_BESIDE = {"f1": ("exact_match", "worst_f1", "worst_exact_match")}  # metrics that are shown with a main one
ATTACK_METRICS = ("attack_success_rate", "changed_word_share", "mean_queries")
MEANING_METRICS = ("changed_content_share", "similarity", "perplexity_ratio")
"""Metrics of what successful attacks on texts left of the meaning, where they were measured."""


@dataclass(frozen=True)
class Line:
    """Scores of all models that are of the same rows, under the same condition: a line of a table."""

    name: str
    condition: Condition
    found: Sequence[ScoreRecord | None]

    @property
    def num_rows(self) -> int:
        """Number of rows that the scores are of, the largest where models differ."""
        return max((score["num_rows"] for score in self.found if score), default=0)


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

    def lines_of(self, suite: str, group: str | None = None) -> list[Line]:
        """Lines of a suite by condition; before the first one of fewer rows, what these rows had without an attack.

        With F1 stands the exact match, and both at the worst of a question's variants where a suite has such.
        """
        lines: list[Line] = []
        with_clean: set[int] = set()
        for condition in self.conditions_of(suite):
            own = self._lines(condition, group)
            for line in own:
                if line.num_rows not in with_clean and condition.attack is not None:
                    lines += [clean for clean in map(_clean_line, own) if any(clean.found)]
                with_clean.add(line.num_rows)
            lines += own
        return lines

    def _lines(self, condition: Condition, group: str | None) -> list[Line]:
        main = self._main_metrics.get(condition.suite, "accuracy")
        metrics = [main, *_BESIDE.get(main, ())]
        lines = []
        for metric in metrics:
            name = condition.name if len(metrics) == 1 else f"{condition.name}, {metric_words(metric)}"
            named = condition.metric_name(metric)
            lines.append(Line(name, condition, [self.of(model, condition, named, group) for model in self.models]))
        return [line for line in lines if any(line.found)]

    def conditions_of(self, suite: str) -> list[Condition]:
        return [condition for condition in self.conditions if condition.suite == suite]

    def groups(self, suite: str) -> list[str]:
        """Names of a suite's groups of rows, in the record's order."""
        found = (group for _, condition, group, _ in self._found if condition.suite == suite and group is not None)
        return list(dict.fromkeys(found))


def clean_of(score: ScoreRecord | None) -> ScoreRecord | None:
    """Clean score of the rows that a score under an attack is of; None for one that has none."""
    if score is None or score["clean"] is None:
        return None
    level, condition = score["clean"], Condition(score["suite"])
    found: ScoreRecord = {
        **score,
        "attack": condition.attack,
        "epsilon": condition.epsilon,
        "metric": score["metric"].removeprefix(ROBUST),
        "value": level["value"],
        "low": level["low"],
        "high": level["high"],
        "clean": None,
    }
    return found


def _clean_line(line: Line) -> Line:
    """Line of the same rows without the attack."""
    clean = Condition(line.condition.suite)
    return Line(
        f"same rows, {line.name.replace(line.condition.name, clean.name, 1)}", clean, list(map(clean_of, line.found))
    )


def of_likelihoods(comparisons: Iterable[ComparisonRecord]) -> list[ComparisonRecord]:
    """Comparisons of log-likelihoods, whose p values are adjusted apart from those of scores."""
    return [entry for entry in comparisons if entry["metric"].endswith(LOG_LIKELIHOOD)]


def metric_words(metric: str) -> str:
    """Name of a metric in a sentence.

    >>> metric_words("exact_match"), metric_words("f1")
    ('exact match', 'F1')
    """
    return metric.replace("_", " ").replace("f1", "F1")


def condition_of(entry: ScoreRecord | ComparisonRecord | CalibrationRecord) -> Condition:
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
