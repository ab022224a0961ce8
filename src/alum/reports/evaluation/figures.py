"""Figures of an evaluation, each with its table: curves over the radius, scores of suites, and of groups of rows."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from alum.attacks.condition import Condition
from alum.data.visible_text import visible
from alum.reports.evaluation.calibration import reliability_lines
from alum.reports.evaluation.charts import DotRow, curves_chart, dots_chart, ranking_chart, reliability_chart
from alum.reports.evaluation.headline import ranked
from alum.reports.evaluation.record import EvaluationRecord, ReliabilityBinRecord, ScoreRecord
from alum.reports.evaluation.scores import Line, Scores, clean_of, texts_of
from alum.reports.numbers import MISSING, is_number, is_rate, percent_text
from alum.reports.pages.matrices import MOST_BESIDE
from alum.reports.pages.svg import NUM_STYLES, Point

_MAX_LABEL_CHARACTERS = 44


def figures(results: EvaluationRecord, scores: Scores) -> dict[str, list[dict[str, Any]]]:
    """Makes an evaluation's figures for sections of its page: ``curves``, ``suites``, ``groups`` and ``reliability``.

    Each has a ``title``, the ``head`` of its table's first column, ``rows`` of a name and texts of the models, what
    these are (``caption``), ``svg`` (None where nothing is drawn) and ``drawn``, the numbers of the models in it where
    it needs a legend of its own. Of many models, curves have the highest, and rows of dots stand in the order of ranks.
    """
    orders = {
        suite["name"]: [scores.models.index(model) for model in ranked(results, scores, suite["name"])]
        for suite in results["suites"]
    }
    has_many = len(scores.models) > MOST_BESIDE
    suites = _ranked_suite if has_many else _suite
    return {
        "curves": [figure for name, order in orders.items() for figure in _curves(scores, name, order)],
        "suites": [figure for name, order in orders.items() for figure in suites(scores, name, order)],
        "groups": [figure for name in orders for figure in _groups(scores, name)],
        "reliability": [
            _reliability(f"{condition.suite}, {condition.name}", lines, scores.models, _drawn(orders[condition.suite]))
            for condition, lines in reliability_lines(results, scores)
        ],
    }


def _drawn(order: Sequence[int]) -> list[int]:
    """Numbers of the models whose lines share a chart: of many the highest, since more cannot be told apart."""
    return sorted(order if len(order) <= MOST_BESIDE else order[:NUM_STYLES])


def _curves(scores: Scores, suite: str, order: Sequence[int]) -> list[dict[str, Any]]:
    """Makes a figure for each attack with several radii; its curves begin at the clean score of the same rows."""
    conditions = scores.conditions_of(suite)
    attacks = dict.fromkeys(condition.attack for condition in conditions if condition.epsilon is not None)
    by_attack = [[condition for condition in conditions if condition.attack == attack] for attack in attacks]
    return [_curve(scores, suite, radii, _drawn(order)) for radii in by_attack if len(radii) > 1]


def _curve(scores: Scores, suite: str, radii: Sequence[Condition], drawn: Sequence[int]) -> dict[str, Any]:
    title = f"{suite} under {radii[0].attack}"
    first = [clean_of(score) for score in scores.row(radii[0])]
    rows = [(Condition(suite), first), *((condition, scores.row(condition)) for condition in radii)]
    has_all = len(drawn) == len(scores.models)
    lines = [
        [
            point
            for condition, row in rows
            if index in drawn and (point := _point(model, condition, row[index], condition.name)) is not None
        ]
        for index, model in enumerate(scores.models)
    ]
    rate = is_rate(scores.main_metric(Condition(suite)))
    svg = curves_chart(lines, rate, title, has_bands=has_all) if any(lines) else None
    texts = [(f"{condition.epsilon or 0:g}", row) for condition, row in rows]
    return {**_figure(title, "radius ε", texts, svg), "drawn": [] if has_all else drawn}


def _suite(scores: Scores, suite: str, order: Sequence[int]) -> list[dict[str, Any]]:
    """Makes a figure of the clean score and each attack's."""
    rows = [(line.name, line.found) for line in _shown_lines(scores, suite)]
    return [_dots(suite, "under", rows, scores)] if rows else []


def _ranked_suite(scores: Scores, suite: str, order: Sequence[int]) -> list[dict[str, Any]]:
    """Makes a figure for each line of a suite, in which models stand below each other."""
    found = []
    for line in _shown_lines(scores, suite):
        points = {
            scores.models[index]: _point(scores.models[index], None, line.found[index], line.name) for index in order
        }
        title = f"{suite}, {line.name}"
        rows = [(_label(model), scores.models.index(model), point) for model, point in points.items()]
        rate = all(is_rate(score["metric"]) for score in line.found if score)
        svg = ranking_chart(rows, rate, title) if any(points.values()) else None
        found.append(_figure(title, "under", [(line.name, line.found)], svg))
    return found


def _shown_lines(scores: Scores, suite: str) -> list[Line]:
    """Lines of a suite, of an attack's radii the middle one alone: the curves have all."""
    lines = scores.lines_of(suite)
    radii: dict[str | None, list[float | None]] = {}
    for condition in dict.fromkeys(line.condition for line in lines):
        radii.setdefault(condition.attack, []).append(condition.epsilon)
    middle = {attack: found[(len(found) - 1) // 2] for attack, found in radii.items()}
    return [line for line in lines if line.condition.epsilon == middle[line.condition.attack]]


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
    is_drawn = any(point for line in lines for point in line.points) and len(scores.models) <= MOST_BESIDE
    svg = dots_chart(lines, rate, f"{head} {title}") if is_drawn else None
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
        "drawn": [],
    }


def _reliability(
    title: str, lines: Sequence[Sequence[ReliabilityBinRecord]], models: Sequence[str], drawn: Sequence[int]
) -> dict[str, Any]:
    """Makes a figure of bins of rows, from the least sure to the surest: accuracy over confidence."""
    points = [
        [_bin_point(model, found) for found in bins if index in drawn]
        for index, (model, bins) in enumerate(zip(models, lines, strict=True))
    ]
    most = max(map(len, lines))
    rows = [
        (
            f"{number + 1} of {most}",
            [_bin_texts(bins[number]) if number < len(bins) else (MISSING, "") for bins in lines],
        )
        for number in range(most)
    ]
    svg = reliability_chart(points, f"reliability {title}")
    return {
        "title": title,
        "head": "bin",
        "rows": rows,
        "caption": "accuracy, mean confidence and rows of each model's bins, the surest last",
        "svg": Markup(svg) if svg else None,
        "drawn": [] if len(drawn) == len(models) else drawn,
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
