"""Tables of an evaluation for the terminal: scores, groups, attacks, comparisons and checks, from its record."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from alum.data.visible_console import VisibleConsole
from alum.data.visible_text import visible
from alum.reports.evaluation.calibration import clean_and_strongest, level_texts, temperature_text
from alum.reports.evaluation.record import CheckRecord, ComparisonRecord, EvaluationRecord, GainRecord, ScoreRecord
from alum.reports.evaluation.scores import (
    ATTACK_METRICS,
    MEANING_METRICS,
    Line,
    Scores,
    condition_of,
    metric_words,
    of_likelihoods,
)
from alum.reports.numbers import (
    MISSING,
    difference_text,
    gain_text,
    interval_text,
    p_text,
    rough_interval_text,
    value_text,
)
from alum.reports.tables import show_in_parts, show_table

_UNIT = "rates in percent"
_VERDICTS = {True: "passed", False: "FAILED", None: "not told"}


def show_evaluation(results: EvaluationRecord, console: Console | None = None) -> None:
    """Prints an evaluation's record as tables that can be read at 80 columns.

    Models stand side by side; those that do not fit into the width follow in further tables.
    """
    console = console or VisibleConsole()
    scores = Scores(results)
    _show_scores(results, scores, console)
    _show_groups(results, scores, console)
    _show_attacks(scores, console)
    _show_meaning(scores, console)
    _show_comparisons(results["comparisons"], scores, console)
    _show_calibration(results, scores, console)
    _show_checks(results["checks"], console)
    _show_gains(results["gains"], console)


def _show_gains(gains: Sequence[GainRecord], console: Console) -> None:
    if gains:
        rows = [
            [
                gain["model"],
                gain["suite"],
                gain["method"],
                f"{gain['divergence']:.1e}",
                gain_text(gain["gain"], gain["divergence"]),
            ]
            for gain in gains
        ]
        title = (
            "Adversarial gain: divergence over that of random noise of the same length. Near 1 is noise; it tells "
            "nothing between models"
        )
        show_table(
            title, ("model", "suite", "perturbation of", "divergence", "gain"), rows, console, num_text_columns=3
        )


def _show_scores(results: EvaluationRecord, scores: Scores, console: Console) -> None:
    rows = [_Row(suite["name"], line) for suite in results["suites"] for line in scores.lines_of(suite["name"])]
    metrics = {suite["name"]: metric_words(suite["main_metric"]) for suite in results["suites"]}
    of_each = ", ".join(f"{metric} of {name}" for name, metric in metrics.items())
    of_all = next(iter(metrics.values()), "")
    title = f"Scores: {of_all if len(set(metrics.values())) == 1 else of_each}; {_UNIT}, with 95 % intervals"
    _show_by_model(title, ("suite", "under"), rows, scores.models, console)


def _show_groups(results: EvaluationRecord, scores: Scores, console: Console) -> None:
    for suite in results["suites"]:
        name = suite["name"]
        rows = [_Row(group, line) for group in scores.groups(name) for line in scores.lines_of(name, group)]
        title = f"Groups of {name}: {metric_words(suite['main_metric'])}; {_UNIT}"
        _show_by_model(title, ("group", "under"), rows, scores.models, console)


def _show_by_model(
    title: str, places: tuple[str, str], rows: Sequence["_Row"], models: Sequence[str], console: Console
) -> None:
    """Prints a column for each model, in as many tables as the width of the console asks for."""
    if not rows:
        return
    labels = _labels([(row.place, row.line.name, f"{row.line.num_rows:,}") for row in rows])
    lines = [[*label, *map(_cell, row.line.found)] for label, row in zip(labels, rows, strict=True)]
    titles = (title, "The same of further models")
    show_in_parts(titles, (*places, "rows", *models), lines, console, num_labels=3, num_text_columns=2)


@dataclass(frozen=True)
class _Row:
    place: str
    line: Line


def _labels(labels: Sequence[tuple[str, str, str]]) -> Iterable[tuple[str, str, str]]:
    """Names of the rows, the place left out where it is the same as in the row before."""
    previous = None
    for place, name, num_rows in labels:
        yield "" if place == previous else visible(place), visible(name), num_rows
        previous = place


def _cell(score: ScoreRecord | None) -> str:
    """Text of a score, such as ``84.5 (80–88)``: an interval is known no better than to whole percent."""
    if score is None:
        return MISSING
    value = value_text(score["metric"], score["value"]).removesuffix(" %")
    if score["low"] is None or score["high"] is None:
        return value
    return f"{value} ({rough_interval_text(score['metric'], score['low'], score['high'])})"


def _show_attacks(scores: Scores, console: Console) -> None:
    rows, previous = [], None
    for condition in scores.conditions:
        for model in scores.models:
            found = [scores.of(model, condition, metric) for metric in ATTACK_METRICS]
            if any(found):
                label = "" if condition == previous else visible(f"{condition.suite}, {condition.name}")
                rates = [_cell(score) for score in found[:-1]]
                queries = value_text(found[-1]["metric"], found[-1]["value"]) if found[-1] else MISSING
                rows.append([label, visible(model), _num_rows(found), *rates, queries])
                previous = condition
    if rows:
        title = "Attacks on text: of the rows that were right before"
        show_table(title, ("attack", "model", "rows", "success", "words", "queries"), rows, console, num_text_columns=2)
        note = (
            "success in percent; words: share changed by successful attacks, in percent; queries: mean over the rows."
        )
        console.print(Text(note, style="dim"))


def _show_meaning(scores: Scores, console: Console) -> None:
    rows, previous = [], None
    for condition in scores.conditions:
        for model in scores.models:
            found = [scores.of(model, condition, metric) for metric in MEANING_METRICS]
            if any(found):
                label = "" if condition == previous else visible(f"{condition.suite}, {condition.name}")
                rows.append([label, visible(model), _num_rows(found), *map(_cell, found)])
                previous = condition
    if rows:
        title = "What successful attacks on text left of the meaning"
        show_table(
            title, ("attack", "model", "rows", "content", "similarity", "perplexity"), rows, console, num_text_columns=2
        )
        note = (
            "content: share changed of the words that are no stop words, in percent; similarity by --similarity_model; "
            "perplexity of the changed words, times that of the old ones, by --masked_lm. Neither tells that a reader "
            "would give the same label: see the examples."
        )
        console.print(Text(note, style="dim"))


def _num_rows(found: Sequence[ScoreRecord | None]) -> str:
    """Number of rows that were attacked, which is that of the first score."""
    return f"{found[0]['num_rows']:,}" if found and found[0] else MISSING


def _show_comparisons(comparisons: Sequence[ComparisonRecord], scores: Scores, console: Console) -> None:
    """Prints a table for each pair of compared models, in the order of the conditions."""
    order = {condition: number for number, condition in enumerate(scores.conditions)}
    pairs = dict.fromkeys((entry["baseline"], entry["model"]) for entry in comparisons)
    for baseline, model in pairs:
        found = [entry for entry in comparisons if (entry["baseline"], entry["model"]) == (baseline, model)]
        ordered = sorted(found, key=lambda entry: order.get(condition_of(entry), len(order)))
        rows, previous = [], None
        for entry in ordered:
            metric = entry["metric"]
            rows.append(
                [
                    "" if entry["suite"] == previous else visible(entry["suite"]),
                    visible(scores.compared(entry)),
                    difference_text(metric, entry["difference"]),
                    interval_text(metric, entry["low"], entry["high"], signed=True),
                    p_text(entry["p_adjusted"]),
                ]
            )
            previous = entry["suite"]
        title = f"{model} minus {baseline}, {_UNIT}, on the same rows"
        show_table(visible(title), ("suite", "under", "difference", "95 % interval", "p"), rows, console, 2)
    if comparisons:
        tests = {"mcnemar": "McNemar's mid-p test", "permutation": "permutation test"}
        used = " or ".join(tests[test] for test in tests if any(entry["test"] == test for entry in comparisons))
        likelihoods = len(of_likelihoods(comparisons))
        count = f"all {len(comparisons) - likelihoods} comparisons"
        apart = f", those of the {likelihoods} log likelihoods apart" if likelihoods else ""
        note = f"p: {used}, adjusted by Holm for {count}, the radii of a curve as one{apart}."
        console.print(Text(note, style="dim"))


def _show_calibration(results: EvaluationRecord, scores: Scores, console: Console) -> None:
    """Prints likelihoods and calibration errors without an attack and under the strongest one; the page has all."""
    rows = []
    for condition, entries in clean_and_strongest(results, scores):
        for number, entry in enumerate(entries):
            shown = ("negative_log_likelihood", "expected_calibration_error")
            rows.append(
                [
                    "" if number else visible(f"{condition.suite}, {condition.name}"),
                    visible(entry["model"]),
                    temperature_text(entry["temperature"]),
                    *(value for metric in shown for value, _ in level_texts(entry, metric)),
                ]
            )
    if rows:
        title = "Calibration, as it is and after the temperature T of other, clean rows"
        show_table(title, ("under", "model", "T", "NLL", "after", "ECE", "after"), rows, console, num_text_columns=2)
        note = "NLL: negative log-likelihood, nats a row; ECE: expected calibration error. T above 1: too sure."
        console.print(Text(note, style="dim"))


def _show_checks(checks: Sequence[CheckRecord], console: Console) -> None:
    """Prints a line for each check for gradient masking, and for one that failed also its parts."""
    rows = []
    for check in checks:
        name = visible(f"{check['model']} on {check['suite']}")
        if check["passed"]:
            told = sum(part["passed"] is not None for part in check["parts"])
            rows.append([name, f"{told} of {len(check['parts'])} parts could be told", _VERDICTS[True]])
            continue
        rows.append([name, "", _VERDICTS[False]])
        for part in check["parts"]:
            rows.append([visible(f"· {part['name']}"), visible(part["found"]), _VERDICTS[part["passed"]]])
    if rows:
        passed = sum(check["passed"] for check in checks)
        title = f"Check for gradient masking: {passed} of {len(checks)} passed"
        show_table(title, ("what", "found", "outcome"), rows, console, num_text_columns=2)
