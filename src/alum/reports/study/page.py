"""Page of a study: sentences, forest plots, scores and costs, one HTML file made from its record alone."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alum.attacks.condition import Condition
from alum.data.visible_text import visible
from alum.data.writing import write_text
from alum.reports.evaluation.scores import metric_words
from alum.reports.numbers import (
    MISSING,
    difference_text,
    duration_text,
    interval_text,
    is_loss,
    is_rate,
    p_text,
    value_text,
)
from alum.reports.pages.html_page import html_page, names_in_title, setting_texts
from alum.reports.pages.matrices import Entry, Heading, Matrix, matrices
from alum.reports.pages.svg import Point, look_in_text
from alum.reports.study.forest import ForestRow, forest_plot
from alum.reports.study.record import ArmComparison, ArmCost, ArmCurve, ArmScore, StudyRecord
from alum.reports.study.steps import steps_chart

_FOREST_UNITS = {
    "rates": "percentage points (right: better than {baseline})",
    "losses": "nats a token (left: better than {baseline})",
    "others": "difference (right: better than {baseline})",
}
BASELINE_TITLES = {"standard": "standard training", "standard_plus": "standard training at equal cost"}


def write_study_page(path: Path, results: StudyRecord) -> None:
    """Writes the page of a study, one HTML file, whole or not at all."""
    write_text(path, study_page(results))


def study_page(results: StudyRecord) -> str:
    """Renders the page of a study as HTML: the same of the same cells, however they were come by."""
    return html_page("study.html", _contents(results))


def condition_words(attack: str | None, epsilon: float | None) -> str:
    return Condition("", attack, epsilon).name


def times_text(ratio: float | None) -> str:
    """Formats a cost as a multiple of standard training's.

    >>> times_text(2.333), times_text(None)
    ('2.33 ×', '–')
    """
    return MISSING if ratio is None else f"{ratio:.2f} ×"


def _contents(results: StudyRecord) -> dict[str, Any]:
    baselines = list(dict.fromkeys(entry["baseline"] for entry in results["comparisons"]))
    return {
        "title": names_in_title(results["arms"], _many(results)),
        "num_cells": results["num_cells"],
        "seeds": results["seeds"],
        "tasks": results["tasks"],
        "arms": _headings(results, results["arms"]),
        "answers": [
            {
                "arm": arm,
                "sentences": [answer["sentence"] for answer in results["answers"] if answer["arm"] == arm],
                **look_in_text(results["arms"].index(arm)),
            }
            for arm in dict.fromkeys(answer["arm"] for answer in results["answers"])
        ],
        "missing": results["missing"],
        "notes": results["notes"],
        "forests": [_forest(results, baseline) for baseline in baselines],
        "score_tables": [(task, _score_tables(results, task)) for task in results["tasks"]],
        "comparisons": [_comparison_tables(results, baseline) for baseline in baselines],
        "curves": _curves(results),
        "searches": [
            {
                **search,
                "tried": [
                    (_values(values), "diverged" if score is None else value_text(search["metric"], score))
                    for values, score in search["tried"]
                ],
                "chosen": _values(search["chosen"]),
                "metric": metric_words(search["metric"]),
            }
            for search in results["searches"]
        ],
        "settings": setting_texts(_flat(results["settings"])),
        "environments": [setting_texts(environment) for environment in results["environments"]],
    }


def _many(results: StudyRecord) -> str:
    num_tasks = len(results["tasks"])
    return f"{len(results['arms'])} arms on {num_tasks} task{'' if num_tasks == 1 else 's'}"


def _forest(results: StudyRecord, baseline: str) -> dict[str, Any]:
    """Picture of the main metrics without an attack, one for metrics in percent, one for losses and one for others."""
    pictures = []
    for kind, unit in _FOREST_UNITS.items():
        rows = []
        for task in results["tasks"]:
            found = {
                entry["arm"]: entry
                for entry in results["comparisons"]
                if (entry["task"], entry["baseline"], entry["attack"]) == (task, baseline, None)
                and entry["is_main"]
                and _forest_kind(entry["metric"]) == kind
            }
            if found:
                points = [_point(found.get(arm), in_percent=kind == "rates") for arm in results["arms"]]
                rows.append(ForestRow(visible(task), points))
        if rows:
            pictures.append(forest_plot(rows, unit.format(baseline=baseline), f"{baseline} {kind}"))
    return {"title": f"Against {BASELINE_TITLES.get(baseline, baseline)}", "pictures": pictures}


def _forest_kind(metric: str) -> str:
    return "rates" if is_rate(metric) else "losses" if is_loss(metric) else "others"


def _point(entry: ArmComparison | None, in_percent: bool) -> Point | None:
    if entry is None:
        return None
    factor = 100 if in_percent else 1
    text = f"{entry['arm']} on {entry['task']}: {_difference(entry)} ({_interval(entry)})"
    text = visible(f"{text}, p {p_text(entry['p_adjusted'])}")
    return Point(factor * entry["difference"], factor * entry["low"], factor * entry["high"], text)


def _difference(entry: ArmComparison) -> str:
    return difference_text(entry["metric"], entry["difference"])


def _interval(entry: ArmComparison) -> str:
    return interval_text(entry["metric"], entry["low"], entry["high"], signed=True)


def _headings(results: StudyRecord, arms: Sequence[str]) -> list[Heading]:
    return [Heading(arm, **look_in_text(results["arms"].index(arm))) for arm in arms]


def _score_tables(results: StudyRecord, task: str) -> list[Matrix]:
    """Tables of a task: a line for each metric, without an attack and under each, and one for the cost."""
    lines: dict[tuple[str, str], dict[str, ArmScore]] = {}
    for score in results["scores"]:
        if score["task"] == task:
            line = condition_words(score["attack"], score["epsilon"]), metric_words(score["metric"])
            lines.setdefault(line, {})[score["arm"]] = score
    scores = [
        (Heading(name, metric), [_score_entry(found.get(arm)) for arm in results["arms"]])
        for (name, metric), found in lines.items()
    ]
    costs = {cost["arm"]: cost for cost in results["costs"] if cost["task"] == task}
    cost_line = (Heading("cost"), [_cost_entry(costs.get(arm)) for arm in results["arms"]])
    return matrices("under", _headings(results, results["arms"]), [*scores, cost_line], model_corner="arm")


def _score_entry(score: ArmScore | None) -> Entry | None:
    if score is None:
        return None
    interval = interval_text(score["metric"], score["low"], score["high"])
    return Entry(value_text(score["metric"], score["value"]), [interval], score["value"])


def _cost_entry(cost: ArmCost | None) -> Entry | None:
    """FLOPs over those of standard training, or seconds where none were counted."""
    if cost is None:
        return None
    if cost["times_standard"] is None:
        return Entry(duration_text(cost["seconds"]), number=cost["seconds"])
    return Entry(times_text(cost["times_standard"]), number=cost["times_standard"])


def _comparison_tables(results: StudyRecord, baseline: str) -> dict[str, Any]:
    """Tables of comparisons with a baseline: a line for each task, condition and metric."""
    entries = [entry for entry in results["comparisons"] if entry["baseline"] == baseline]
    arms = [arm for arm in results["arms"] if any(entry["arm"] == arm for entry in entries)]
    lines: dict[tuple[str, str], dict[str, ArmComparison]] = {}
    for entry in entries:
        name = f"{condition_words(entry['attack'], entry['epsilon'])}, {metric_words(entry['metric'])}"
        lines.setdefault((entry["task"], name), {})[entry["arm"]] = entry
    found = [
        (Heading(task, name), [_comparison_entry(line.get(arm)) for arm in arms])
        for (task, name), line in lines.items()
    ]
    return {
        "baseline": BASELINE_TITLES.get(baseline, baseline),
        "count": len(entries),
        "tables": matrices("task, under, metric", _headings(results, arms), found, model_corner="arm"),
    }


def _comparison_entry(entry: ArmComparison | None) -> Entry | None:
    if entry is None:
        return None
    p = p_text(entry["p_adjusted"])
    notes = [_interval(entry), f"p\u00a0{p if p.startswith('<') else '= ' + p}"]
    notes += [f"{entry['more_seeds']} more seeds"] if entry["more_seeds"] else []
    verdict = "" if entry["verdict"] == "undecided" else entry["verdict"]
    return Entry(_difference(entry), notes, entry["difference"], verdict=verdict)


def _curves(results: StudyRecord) -> list[tuple[str, str]]:
    """Tasks whose trainings were measured on the way, each with its picture."""
    pictures = []
    for task in dict.fromkeys(curve["task"] for curve in results["curves"]):
        curves = {curve["arm"]: curve for curve in results["curves"] if curve["task"] == task}
        metric = next(iter(curves.values()))["metric"]
        lines = [_curve_points(curves[arm]) if arm in curves else [] for arm in results["arms"]]
        unit = f"{metric_words(metric)}, %" if is_rate(metric) else metric_words(metric)
        pictures.append((task, steps_chart(lines, unit, f"steps {task}")))
    return pictures


def _curve_points(curve: ArmCurve) -> list[Point]:
    metric, factor = curve["metric"], 100 if is_rate(curve["metric"]) else 1
    return [
        Point(
            factor * value,
            factor * value,
            factor * value,
            visible(f"{curve['arm']}, step {step}: {value_text(metric, value)}, mean of {curve['num_seeds']}"),
            step,
        )
        for step, value in zip(curve["steps"], curve["values"], strict=True)
    ]


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a study with those of each arm and task in a line."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if name in ("arms", "tasks", "search"):
            found |= {f"{name}, {key}": json.dumps(own, ensure_ascii=False) for key, own in value.items()}
        else:
            found[name] = value
    return found
