"""Page of an evaluation: one HTML file that loads nothing, and in which no shown text can run as code."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from alum.attacks.condition import Condition
from alum.data.writing import write_text
from alum.reports.evaluation.calibration import (
    CALIBRATION_METRICS,
    calibrated_conditions,
    level_texts,
    temperature_text,
)
from alum.reports.evaluation.changed_words import changed_words, shortened
from alum.reports.evaluation.figures import figures
from alum.reports.evaluation.headline import SIGNIFICANT, answer, leaders, ranked
from alum.reports.evaluation.record import (
    CheckRecord,
    ComparisonRecord,
    EvaluationRecord,
    ExampleRecord,
    GainRecord,
    ScoreRecord,
)
from alum.reports.evaluation.scores import (
    ATTACK_METRICS,
    MEANING_METRICS,
    Line,
    Scores,
    best_of,
    condition_of,
    metric_words,
    of_likelihoods,
    texts_of,
)
from alum.reports.numbers import (
    MISSING,
    difference_text,
    duration_text,
    gain_text,
    interval_text,
    is_number,
    listed,
    p_text,
    percent_text,
)
from alum.reports.pages.html_page import html_page, names_in_title, setting_texts
from alum.reports.pages.matrices import MOST_BESIDE, Entry, Heading, matrices
from alum.reports.pages.svg import look_in_text

_TESTS = {"mcnemar": "McNemar’s mid-p test", "permutation": "a permutation test"}


def write_evaluation_page(path: Path, results: EvaluationRecord) -> None:
    """Writes the page of an evaluation, one HTML file, whole or not at all."""
    write_text(path, evaluation_page(results))


def evaluation_page(results: EvaluationRecord) -> str:
    """Renders the page of an evaluation as HTML."""
    return html_page("evaluation.html", _contents(results), script="evaluation.js")


# -- contents ----------------------------------------------------------------------------------------------------------


def _contents(results: EvaluationRecord) -> dict[str, Any]:
    scores = Scores(results)
    return {
        "models": [
            {**model, **look_in_text(index), "answer": _unbroken(answer(results, scores, model["name"]))}
            for index, model in enumerate(results["models"])
        ],
        "has_many_models": len(scores.models) > MOST_BESIDE,
        "leaders": [(suite, _unbroken(text)) for suite, text in leaders(results, scores)] if scores.models else [],
        "suites": results["suites"],
        "attacks": [{**attack, "settings": setting_texts(attack["settings"])} for attack in results["attacks"]],
        "summary": _summary(results, scores),
        "figures": _figures(results, scores),
        "attack_tables": _attack_tables(scores),
        "comparisons": [
            _comparison_tables(scores, baseline, results["comparisons"])
            for baseline in dict.fromkeys(entry["baseline"] for entry in results["comparisons"])
        ],
        "num_comparisons": len(results["comparisons"]) - len(of_likelihoods(results["comparisons"])),
        "has_likelihoods": bool(of_likelihoods(results["comparisons"])),
        "calibration": _calibration_tables(results, scores),
        "tests": listed(_TESTS[test] for test in sorted({entry["test"] for entry in results["comparisons"]}) or _TESTS),
        "significant": SIGNIFICANT,
        "checks": [_check(check) for check in results["checks"]],
        "gains": [_gain(gain, scores.models) for gain in results["gains"]],
        "examples": [_example(example, scores.models) for example in results["examples"]],
        "choices": _choices(results["examples"]),
        "settings": setting_texts(results["settings"]),
        "environment": setting_texts(results["environment"]),
        "title": f"{names_in_title(scores.models, f'{len(scores.models)} models')} under attack",
        "created": _date(results["created"]),
        "elapsed": duration_text(results["elapsed_seconds"]),
        "num_rows": sum(suite["num_rows"] for suite in results["suites"]),
    }


def _look_of(model: str, models: Sequence[str]) -> dict[str, Any]:
    return look_in_text(models.index(model) if model in models else 0)


def _headings(scores: Scores, order: Sequence[str] = ()) -> list[Heading]:
    """Headings of the models; ``order`` has their names by rank."""
    ranks = {model: rank for rank, model in enumerate(order, start=1)}
    return [Heading(model, rank=ranks.get(model), **look_in_text(index)) for index, model in enumerate(scores.models)]


def _summary(results: EvaluationRecord, scores: Scores) -> list[dict[str, Any]]:
    """Tables of scores by suite."""
    return [
        {
            "suite": suite,
            "metric": metric_words(scores.main_metric(Condition(suite))),
            "tables": matrices(
                "under",
                _headings(scores, ranked(results, scores, suite)),
                [(_line_heading(line), _score_cells(line.found)) for line in scores.lines_of(suite)],
            ),
        }
        for suite in dict.fromkeys(condition.suite for condition in scores.conditions)
    ]


def _line_heading(line: Line) -> Heading:
    return Heading(line.name, f"{line.num_rows:,} rows" if line.num_rows else "")


def _score_cells(found: Sequence[ScoreRecord | None]) -> list[Entry]:
    """Value and interval of each model, the highest value marked."""
    values = [score["value"] if score else None for score in found]
    best = best_of(values)
    return [
        Entry(value, [interval], number, is_best=index in best)
        for index, ((value, interval), number) in enumerate(zip(map(texts_of, found), values, strict=True))
    ]


def _figures(results: EvaluationRecord, scores: Scores) -> dict[str, list[dict[str, Any]]]:
    """Figures by section, each with its tables, but for numbers of many models, which the summary has in this form."""
    headings = _headings(scores)
    in_summary = ("curves", "suites") if len(headings) > MOST_BESIDE else ()
    return {
        section: [
            {
                **figure,
                "tables": []
                if figure["svg"] and section in in_summary
                else matrices(figure["head"], headings, _figure_lines(figure)),
                "drawn": [headings[index] for index in figure["drawn"]],
            }
            for figure in found
        ]
        for section, found in figures(results, scores).items()
    }


def _figure_lines(figure: Mapping[str, Any]) -> list[tuple[Heading, list[Entry]]]:
    return [(Heading(name), [Entry(value, [interval]) for value, interval in cells]) for name, cells in figure["rows"]]


def _attack_tables(scores: Scores) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Tables of the metrics that only attacks on texts have, by suite and attack, with a row for each model."""
    tables: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for condition in scores.conditions:
        for model in scores.models:
            found = [scores.of(model, condition, metric) for metric in (*ATTACK_METRICS, *MEANING_METRICS)]
            if any(found):
                row = {"model": model, "cells": [texts_of(score) for score in found], **_look_of(model, scores.models)}
                tables.setdefault(condition.suite, {}).setdefault(condition.name, []).append(row)
    return tables


def _calibration_tables(results: EvaluationRecord, scores: Scores) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Tables by suite and condition, with a row for each model: temperature, and each metric raw and after it."""
    tables: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for condition, entries in calibrated_conditions(results, scores):
        tables.setdefault(condition.suite, {})[condition.name] = [
            {
                "model": entry["model"],
                "temperature": temperature_text(entry["temperature"]),
                "cells": [cell for metric in CALIBRATION_METRICS for cell in level_texts(entry, metric)],
                **_look_of(entry["model"], scores.models),
            }
            for entry in entries
        ]
    return tables


def _comparison_tables(scores: Scores, baseline: str, comparisons: Sequence[ComparisonRecord]) -> dict[str, Any]:
    """Tables of comparisons with a baseline by suite, with a line for each condition and metric."""
    entries = [entry for entry in comparisons if entry["baseline"] == baseline]
    order = {condition: number for number, condition in enumerate(scores.conditions)}
    entries.sort(key=lambda entry: order.get(condition_of(entry), len(order)))
    compared = {entry["model"] for entry in entries}
    models = [heading for heading in _headings(scores) if heading.name in compared]
    found: dict[str, dict[str, dict[str, ComparisonRecord]]] = {}
    for entry in entries:
        found.setdefault(entry["suite"], {}).setdefault(scores.compared(entry), {})[entry["model"]] = entry
    blocks = {
        suite: matrices(
            "under",
            models,
            [
                (Heading(name), [_comparison_cell(cells.get(heading.name)) for heading in models])
                for name, cells in lines.items()
            ],
        )
        for suite, lines in found.items()
    }
    return {"baseline": baseline, "blocks": blocks}


def _comparison_cell(entry: ComparisonRecord | None) -> Entry | None:
    if entry is None:
        return None
    is_clear = (
        is_number(entry["p_adjusted"]) and (entry["p_adjusted"] or 0.0) < SIGNIFICANT and entry["difference"] != 0
    )
    p = p_text(entry["p_adjusted"])
    return Entry(
        difference_text(entry["metric"], entry["difference"]),
        [
            interval_text(entry["metric"], entry["low"], entry["high"], signed=True),
            f"p\u00a0{p if p.startswith('<') else '= ' + p}",
        ],
        entry["difference"],
        verdict=("better" if entry["difference"] > 0 else "worse") if is_clear else "",
    )


def _gain(gain: GainRecord, models: Sequence[str]) -> dict[str, Any]:
    texts = {"gain": gain_text(gain["gain"], gain["divergence"]), "divergence": f"{gain['divergence']:.1e}"}
    return {**gain, **texts, **_look_of(gain["model"], models)}


def _check(check: CheckRecord) -> dict[str, Any]:
    verdicts = {True: "passed", False: "failed", None: "could not be told"}
    parts = [
        {
            **part,
            "name": _words(part["name"]),
            "verdict": verdicts[part["passed"]],
            "figures": [
                (_words(name), f"{value:.4g}" if is_number(value) else MISSING)
                for name, value in part["figures"].items()
            ],
        }
        for part in check["parts"]
    ]
    return {**check, "verdict": verdicts[check["passed"]], "parts": parts}


# -- examples ----------------------------------------------------------------------------------------------------------


def _example(example: ExampleRecord, models: Sequence[str]) -> dict[str, Any]:
    """Example with its text in pieces; where the changes do not fit the text, with the texts before and after."""
    pieces = changed_words(example["original"], example["changes"])
    is_marked = pieces is not None and bool(example["changes"] or example["original"] == example["perturbed"])
    before = pieces if is_marked and pieces is not None else [shortened(text) for text in example["original"]]
    after = [] if is_marked else [shortened(text) for text in example["perturbed"]]
    return {
        **example,
        **_look_of(example["model"], models),
        "texts": before,
        "perturbed_texts": after,
        "is_shortened": any(piece.kind == "gap" or "…" in piece.old for text in (*before, *after) for piece in text),
        "num_words": sum(len(text.split()) for text in example["original"]),
        "validity": _validity(example),
        "before_probability": _probability(example["before_probabilities"], example["before"]),
        "after_probability": _probability(example["after_probabilities"], example["after"]),
    }


def _validity(example: ExampleRecord) -> str:
    """Words on what is known of how far the text still means the same, after those on the changed words."""
    similarity, ratio = example["similarity"], example["perplexity_ratio"]
    words = f" ({percent_text(example['changed_content_share'])} of the content words)" if example["changes"] else ""
    words += f", similarity {similarity:.2f}" if similarity is not None and is_number(similarity) else ""
    return words + (f", perplexity there × {ratio:.1f}" if ratio is not None and is_number(ratio) else "")


def _choices(examples: Sequence[ExampleRecord]) -> list[tuple[str, str, list[str]]]:
    """Fields to filter examples by, each with its title and values; those of a single value are left out."""
    fields = (("model", "Model"), ("suite", "Suite"), ("attack", "Attack"), ("outcome", "Outcome"))
    found = [(key, name, list(dict.fromkeys(str(example[key]) for example in examples))) for key, name in fields]  # type: ignore[literal-required]
    return [(key, name, values) for key, name, values in found if len(values) > 1]


def _probability(probabilities: Mapping[str, float] | None, label: str) -> str:
    probability = (probabilities or {}).get(label)
    return (
        percent_text(probability).replace(" ", "\u00a0") if probability is not None and is_number(probability) else ""
    )


# -- words -------------------------------------------------------------------------------------------------------------


def _words(name: str) -> str:
    return name.replace("_", " ")


def _unbroken(sentence: str) -> str:
    return sentence.replace(" %", "\u00a0%")


def _date(created: str) -> str:
    try:
        when = datetime.fromisoformat(created)
    except ValueError:
        return created
    return f"{when.day} {when:%B %Y, %H:%M %Z}".strip()
