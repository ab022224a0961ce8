"""Makes the page on the robustness of fine-tuned models from the study's record, and trains nothing."""

import statistics
from collections.abc import Mapping
from typing import Any

from benchmarks.pages import Page
from benchmarks.places import DOCS
from benchmarks.tables import markdown_table
from studies.kept_runs import conditions


def parts(record: Mapping[str, Any]) -> dict[str, str]:
    minutes = (
        f"{record['training_minutes']:.0f} minutes of training and {record['evaluation_minutes']:.0f} of evaluation, "
        "two runs at a time"
    )
    return {
        "conditions": conditions(record, "make study-robustness", minutes),
        "settings": settings(record["tasks"]["sst2"]),
        **{name: task_part(of_task) for name, of_task in record["tasks"].items()},
    }


def settings(of_task: Mapping[str, Any]) -> str:
    """Those that hold for all tasks."""
    given = of_task["settings"]
    (similarity,) = {
        attack["settings"]["min_similarity"] for attack in of_task["attacks"] if attack["family"] == "text"
    }
    return (
        f"Seeds: {len(of_task['seeds'])}. Rows of each suite: {given['max_eval_samples']} at most; for PGD and attacks "
        f"on texts {given['max_attacked_samples']}, with {given['max_queries']} queries a text at most. "
        f"Similarity of what these make to the original: {similarity} at least."
    )


def task_part(of_task: Mapping[str, Any]) -> str:
    checks = _checks(of_task)
    return f"{scores_table(of_task)}\n\n{checks}" if checks else scores_table(of_task)


def scores_table(of_task: Mapping[str, Any]) -> str:
    """A row for each suite, attack and metric, a column for each method: means over the seeds."""
    scores = of_task["seeds"][0]["scores"]
    main = {suite["name"]: suite["main_metric"] for suite in of_task["suites"]}
    methods = list(dict.fromkeys(score["model"] for score in scores))
    places = dict.fromkeys(
        (score["suite"], score["attack"], score["epsilon"], score["group"], score["metric"])
        for score in scores
        if score["metric"] in (main[score["suite"]], f"robust_{main[score['suite']]}", "exact_match", "mean_queries")
    )
    rows = []
    for place in places:
        suite, attack, epsilon, group, metric = place
        rows.append(
            (
                suite if group is None else f"{suite}, {group}",
                "–" if attack is None else attack if epsilon is None else f"{attack}, ε {epsilon:g}",
                metric.removeprefix("robust_").replace("_", " "),
                *(_cell(of_task, method, place) for method in methods),
            )
        )
    header = ["suite", "attack", "metric", *(f"`{method}`" for method in methods)]
    return markdown_table(header, rows, num_text_columns=3)


def _cell(of_task: Mapping[str, Any], method: str, place: tuple[Any, ...]) -> str:
    """The mean over seeds, half their range, and a mark where every seed differs from standard at p < 0.05."""
    values = [_score(seed, method, place)["value"] for seed in of_task["seeds"]]
    count = place[-1] == "mean_queries"
    text = f"{statistics.fmean(values):.0f}" if count else f"{100 * statistics.fmean(values):.1f}"
    if len(values) > 1 and not count:
        text += f" ± {50 * (max(values) - min(values)):.1f}"
    found = [
        c
        for seed in of_task["seeds"]
        for c in seed["comparisons"]
        if (c["model"], c["suite"], c["attack"], c["epsilon"], None, c["metric"]) == (method, *place)
    ]
    signs = {c["difference"] > 0 for c in found if c["p_value"] < 0.05}
    if found and len([c for c in found if c["p_value"] < 0.05]) == len(of_task["seeds"]) and len(signs) == 1:
        text += " ▲" if signs.pop() else " ▼"
    return text


def _score(seed: Mapping[str, Any], method: str, place: tuple[Any, ...]) -> Mapping[str, Any]:
    return next(
        s
        for s in seed["scores"]
        if (s["model"], s["suite"], s["attack"], s["epsilon"], s["group"], s["metric"]) == (method, *place)
    )


def _checks(of_task: Mapping[str, Any]) -> str:
    """What the check for gradient masking said of the models."""
    checks = [check for seed in of_task["seeds"] for check in seed["checks"]]
    if not checks:
        return ""
    failed = [
        f"{check['model']} ({part['name']}: {part['found']})"
        for check in checks
        for part in check["parts"]
        if part["passed"] is False
    ]
    passed = f"{sum(check['passed'] for check in checks)} of {len(checks)} models"
    text = f"Check for gradient masking, of the first seed: passed by {passed}."
    return text + (f" Not by {'; '.join(failed)}." if failed else "")


PAGE = Page(DOCS / "studies" / "robustness.md", parts)

if __name__ == "__main__":
    PAGE.command(__doc__)
