"""Makes the page of a study from its ``results.json`` by rule, and trains nothing; its prose is the YAML file's head.

python -m studies.page studies/tasks.yaml runs/study-tasks
"""

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from alum.core.errors import InputError
from alum.reports.evaluation.scores import metric_words
from alum.reports.numbers import difference_text, duration_text, interval_text, p_text, value_text
from alum.reports.study.page import BASELINE_TITLES, condition_words, times_text
from alum.reports.study.record import ArmComparison, StudyRecord
from benchmarks.places import DOCS
from benchmarks.tables import markdown_table, versions

METHOD = "[how intervals, p and costs are made](../study.md#what-the-page-says)"


def page(file: Path, results: StudyRecord) -> str:
    """Markdown of a study: the head of its file, sentences, scores, differences, costs, in this order."""
    return "\n\n".join([head_of(file), *_parts(file, results)]) + "\n"


def head_of(file: Path) -> str:
    """Comment at the beginning of a study's file: a title, and what the study is."""
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    if not lines:
        raise InputError(f"{file} has no head: expected lines that begin with #, a title and what the study is.")
    return "\n".join(["# " + lines[0], *lines[1:]])


def _parts(file: Path, results: StudyRecord) -> Iterator[str]:
    seeds = ", ".join(map(str, results["seeds"]))
    yield f"`make study-{file.stem}`: {results['num_cells']} trainings, seeds {seeds}; {METHOD}."
    yield "\n".join(f"- {environment}" for environment in dict.fromkeys(_versions(results)))
    if results["missing"]:
        yield f"**Not finished**: {len(results['missing'])} are missing, such as {results['missing'][0]}."
    yield from (f"**Note.** {note}" for note in results["notes"])
    yield "\n".join(f"- {answer['sentence']}" for answer in results["answers"])
    for task in results["tasks"]:
        yield f"## {task}"
        yield _scores(results, task)
    for baseline in dict.fromkeys(entry["baseline"] for entry in results["comparisons"]):
        yield f"## Differences from {BASELINE_TITLES.get(baseline, baseline)}"
        yield _differences(entry for entry in results["comparisons"] if entry["baseline"] == baseline)
    if results["searches"]:
        yield "## What was searched"
        yield _searches(results)


def _versions(results: StudyRecord) -> Iterator[str]:
    for environment in results["environments"]:
        machine = environment.get("gpu") or f"{environment['processors']} processors"
        yield f"{machine} ({environment['platform']}); {versions(environment)}"


def _scores(results: StudyRecord, task: str) -> str:
    """A row for each condition and metric, a column for each arm, and the cost of training below."""
    arms = results["arms"]
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for score in results["scores"]:
        if score["task"] == task:
            metric = score["metric"]
            line = condition_words(score["attack"], score["epsilon"]), metric_words(metric)
            text = f"{value_text(metric, score['value'])} ({interval_text(metric, score['low'], score['high'])})"
            lines.setdefault(line, {})[score["arm"]] = text
    costs = {cost["arm"]: cost for cost in results["costs"] if cost["task"] == task}
    rows = [(*line, *(found.get(arm, "–") for arm in arms)) for line, found in lines.items()]
    rows.append(("cost", "FLOPs", *(times_text(costs[a]["times_standard"]) if a in costs else "–" for a in arms)))
    rows.append(("", "time", *(duration_text(costs[a]["seconds"]) if a in costs else "–" for a in arms)))
    return markdown_table(["under", "metric", *(f"`{arm}`" for arm in arms)], rows, num_text_columns=2)


def _differences(entries: Iterable[ArmComparison]) -> str:
    rows = [
        (
            entry["task"],
            f"`{entry['arm']}`",
            f"{condition_words(entry['attack'], entry['epsilon'])}, {metric_words(entry['metric'])}",
            difference_text(entry["metric"], entry["difference"]),
            interval_text(entry["metric"], entry["low"], entry["high"], signed=True),
            p_text(entry["p_adjusted"]),
            "" if entry["verdict"] == "undecided" else entry["verdict"],
        )
        for entry in entries
        if entry["is_main"]
    ]
    return markdown_table(["task", "arm", "under, metric", "difference", "95 % interval", "p", ""], rows, 3)


def _searches(results: StudyRecord) -> str:
    rows = [
        (search["task"], f"`{search['arm']}`", _values(values), value_text(search["metric"], score), mark)
        for search in results["searches"]
        for values, score in search["tried"]
        for mark in ["chosen" if values == search["chosen"] else ""]
    ]
    return markdown_table(["task", "arm", "values", "on validation rows", ""], rows, 3)


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, help="YAML file of the study")
    parser.add_argument("folder", type=Path, help="its output_dir")
    parser.add_argument("--output_dir", type=Path, default=DOCS / "studies", help="folder for the page and its record")
    arguments = parser.parse_args()
    text = (arguments.folder / "results.json").read_text(encoding="utf-8")
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    target = arguments.output_dir / arguments.study.stem
    target.with_suffix(".json").write_text(text, encoding="utf-8")
    target.with_suffix(".md").write_text(page(arguments.study, json.loads(text)), encoding="utf-8")


if __name__ == "__main__":
    main()
