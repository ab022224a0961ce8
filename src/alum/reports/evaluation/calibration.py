"""Calibration of an evaluation's models, in the order of its tables, and the bins of its reliability diagrams."""

from collections.abc import Sequence

from alum.attacks.condition import Condition
from alum.reports.evaluation.headline import strongest
from alum.reports.evaluation.record import CalibrationRecord, EvaluationRecord, Level, ReliabilityBinRecord
from alum.reports.evaluation.scores import Scores, condition_of
from alum.reports.numbers import MISSING, interval_text, is_number, value_text

CALIBRATION_METRICS = ("negative_log_likelihood", "brier_score", "expected_calibration_error")


def calibrated_conditions(results: EvaluationRecord, scores: Scores) -> list[tuple[Condition, list[CalibrationRecord]]]:
    """Conditions in the order of scores, each with the entries of its models in the order of models."""
    found: dict[Condition, dict[str, CalibrationRecord]] = {}
    for entry in results["calibration"]:
        found.setdefault(condition_of(entry), {})[entry["model"]] = entry
    return [
        (condition, [found[condition][model] for model in scores.models if model in found[condition]])
        for condition in scores.conditions
        if condition in found
    ]


def clean_and_strongest(results: EvaluationRecord, scores: Scores) -> list[tuple[Condition, list[CalibrationRecord]]]:
    """Conditions of `calibrated_conditions` without an attack, or with one that is the strongest on some model."""
    chosen = {
        condition_of(score)
        for suite in results["suites"]
        for model in scores.models
        if (score := strongest(results, scores, model, suite["name"]))
    }
    found = calibrated_conditions(results, scores)
    return [(condition, entries) for condition, entries in found if condition.attack is None or condition in chosen]


def reliability_lines(
    results: EvaluationRecord, scores: Scores
) -> list[tuple[Condition, list[Sequence[ReliabilityBinRecord]]]]:
    """Conditions of reliability diagrams with the bins of each model, raw; none of models that have no calibration."""
    found: list[tuple[Condition, list[Sequence[ReliabilityBinRecord]]]] = []
    for condition, entries in clean_and_strongest(results, scores):
        bins = {entry["model"]: entry["raw"]["bins"] for entry in entries}
        if any(bins.values()):
            found.append((condition, [bins.get(model, []) for model in scores.models]))
    return found


def level_texts(entry: CalibrationRecord, metric: str) -> list[tuple[str, str]]:
    """Value and interval of a metric as texts, raw and after the temperature."""
    levels: list[Level | None] = []
    for found in (entry["raw"], entry["after_temperature"]):
        levels.append(None if found is None else found[metric])  # type: ignore[literal-required]
    return [_texts(metric, level) for level in levels]


def temperature_text(temperature: float | None) -> str:
    """Formats a temperature with three digits, and a missing one as a dash.

    >>> temperature_text(1.2345), temperature_text(None)
    ('1.23', '–')
    """
    return f"{temperature:.3g}" if temperature is not None and is_number(temperature) else MISSING


def _texts(metric: str, level: Level | None) -> tuple[str, str]:
    if level is None:
        return MISSING, ""
    return value_text(metric, level["value"]), interval_text(metric, level["low"], level["high"])
