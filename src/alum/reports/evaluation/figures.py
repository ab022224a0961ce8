"""Figures of an evaluation, each with its table: curves over the radius, scores of suites, and of groups of rows."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from alum.attacks.condition import Condition
from alum.reports.attacked_text import visible
from alum.reports.evaluation.calibration import reliability_lines
from alum.reports.evaluation.charts import DotRow, curves_chart, dots_chart, reliability_chart
from alum.reports.evaluation.record import EvaluationRecord, ReliabilityBinRecord, ScoreRecord
from alum.reports.evaluation.scores import Scores, clean_of, texts_of
from alum.reports.numbers import MISSING, is_number, is_rate, percent_text
from alum.reports.pages.svg import Point, has_matplotlib

_MAX_LABEL_CHARACTERS = 44


def figures(results: EvaluationRecord, scores: Scores) -> dict[str, list[dict[str, Any]]]:
    """Makes an evaluation's figures for sections of its page: ``curves``, ``suites``, ``groups`` and ``reliability``.

    Each has a ``title``, the ``head`` of its table's first column, ``rows`` of a name and texts of the models, what
    these are (``caption``), and ``svg`` (None without matplotlib).
    """
    names = [suite["name"] for suite in results["suites"]]
    return {
        "curves": [figure for name in names for figure in _curves(scores, name)],
        "suites": [figure for name in names for figure in _suite(scores, name)],
        "groups": [figure for name in names for figure in _groups(scores, name)],
        "reliability": [_reliability(*found, scores.models) for found in reliability_lines(results, scores)],
    }


def _curves(scores: Scores, suite: str) -> list[dict[str, Any]]:
    """Makes a figure for each attack with several radii; its curves begin at the clean score of the same rows."""
    conditions = scores.conditions_of(suite)
    attacks = dict.fromkeys(condition.attack for condition in conditions if condition.epsilon is not None)
    by_attack = [[condition for condition in conditions if condition.attack == attack] for attack in attacks]
    return [_curve(scores, suite, radii) for radii in by_attack if len(radii) > 1]


def _curve(scores: Scores, suite: str, radii: Sequence[Condition]) -> dict[str, Any]:
    title = f"{suite} under {radii[0].attack}"
    first = [clean_of(score) for score in scores.row(radii[0])]
    rows = [(Condition(suite), first), *((condition, scores.row(condition)) for condition in radii)]
    lines = [
        [
            point
            for condition, row in rows
            if (point := _point(model, condition, row[index], condition.name)) is not None
        ]
        for index, model in enumerate(scores.models)
    ]
    rate = is_rate(scores.main_metric(Condition(suite)))
    svg = curves_chart(lines, rate, title) if has_matplotlib() and any(lines) else None
    return _figure(title, "radius ε", [(f"{condition.epsilon or 0:g}", row) for condition, row in rows], svg)


def _suite(scores: Scores, suite: str) -> list[dict[str, Any]]:
    """Makes a figure of the clean score and each attack's; of several radii the middle one: the curves have all."""
    lines = scores.lines_of(suite)
    radii: dict[str | None, list[float | None]] = {}
    for condition in dict.fromkeys(line.condition for line in lines):
        radii.setdefault(condition.attack, []).append(condition.epsilon)
    middle = {attack: found[(len(found) - 1) // 2] for attack, found in radii.items()}
    rows = [(line.name, line.found) for line in lines if line.condition.epsilon == middle[line.condition.attack]]
    return [_dots(suite, "under", rows, scores)] if rows else []


def _groups(scores: Scores, suite: str) -> list[dict[str, Any]]:
    """Makes a figure for each condition, in which the groups stand below each other."""
    found = []
    for condition in scores.conditions_of(suite):
        rows = [(group, scores.row(condition, group)) for group in scores.groups(suite)]
        rows = [(group, row) for group, row in rows if any(row)]
        if rows:
            found.append(_dots(f"{suite}, {condition.name}", "group", rows, scores))
    return found


def _dots(
    title: str, head: str, rows: Sequence[tuple[str, Sequence[ScoreRecord | None]]], scores: Scores
) -> dict[str, Any]:
    lines = [
        DotRow(
            _label(name), [_point(model, None, score, name) for model, score in zip(scores.models, row, strict=True)]
        )
        for name, row in rows
    ]
    rate = all(is_rate(score["metric"]) for _, row in rows for score in row if score)
    has_points = any(point for line in lines for point in line.points)
    svg = dots_chart(lines, rate, f"{head} {title}") if has_matplotlib() and has_points else None
    return _figure(title, head, rows, svg)


def _figure(
    title: str, head: str, rows: Sequence[tuple[str, Sequence[ScoreRecord | None]]], svg: str | None
) -> dict[str, Any]:
    cells = [(name, list(map(texts_of, row))) for name, row in rows]
    return {
        "title": title,
        "head": head,
        "rows": cells,
        "caption": "value and 95 % interval of each model",
        "svg": Markup(svg) if svg else None,
    }


def _reliability(title: str, lines: Sequence[Sequence[ReliabilityBinRecord]], models: Sequence[str]) -> dict[str, Any]:
    """Makes a figure of bins of rows, from the least sure to the surest: accuracy over confidence."""
    points = [[_bin_point(model, found) for found in bins] for model, bins in zip(models, lines, strict=True)]
    most = max(map(len, lines))
    rows = [
        (
            f"{number + 1} of {most}",
            [_bin_texts(bins[number]) if number < len(bins) else (MISSING, "") for bins in lines],
        )
        for number in range(most)
    ]
    svg = reliability_chart(points, f"reliability {title}") if has_matplotlib() else None
    return {
        "title": title,
        "head": "bin",
        "rows": rows,
        "caption": "accuracy, mean confidence and rows of each model's bins, the surest last",
        "svg": Markup(svg) if svg else None,
    }


def _bin_point(model: str, found: ReliabilityBinRecord) -> Point:
    accuracy, (right, sure) = found["accuracy"], _bin_texts(found)
    return Point(accuracy, accuracy, accuracy, visible(f"{model}: {right} right, {sure}"), found["confidence"])


def _bin_texts(found: ReliabilityBinRecord) -> tuple[str, str]:
    rows = f"{found['num_rows']:,} row{'' if found['num_rows'] == 1 else 's'}"
    return percent_text(found["accuracy"]), f"{percent_text(found['confidence'])} sure, {rows}"


def _point(model: str, condition: Condition | None, score: ScoreRecord | None, name: str) -> Point | None:
    """Makes a score's point, None where nothing was measured; a missing interval becomes one without length."""
    if score is None or score["value"] is None or not is_number(score["value"]):
        return None
    value = score["value"]
    low, high = (end if end is not None and is_number(end) else value for end in (score["low"], score["high"]))
    shown, interval = texts_of(score)
    text = visible(f"{model}, {name}: {shown} ({interval})")
    return Point(value, low, high, text, (condition.epsilon or 0.0) if condition else 0.0)


def _label(name: str) -> str:
    shown = visible(name)
    return shown if len(shown) <= _MAX_LABEL_CHARACTERS else shown[: _MAX_LABEL_CHARACTERS - 1] + "…"
