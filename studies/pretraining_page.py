"""Makes the page on adversarial pre-training and its curves from the study's record, and trains nothing."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alum.reports.curves import write_validation_curves
from benchmarks.pages import Page
from benchmarks.places import DOCS
from benchmarks.tables import markdown_table
from studies.kept_runs import conditions

STAGES = {
    "scratch": "From scratch: BERT of 2 layers × 128 on brown, state_union and inaugural",
    "continual": "Continual: MiniLM-L6 on movie_reviews",
}


def parts(record: Mapping[str, Any]) -> dict[str, str]:
    minutes = f"{record['training_minutes']:.0f} minutes of training, {record['num_seeds']} seeds"
    return {
        "conditions": conditions(record, "make study-pretrain", minutes),
        "search": search_table(record["search"]),
        "chosen": chosen_table(record["search"]),
        **{stage["name"]: stage_part(stage) for stage in record["stages"]},
    }


def search_table(search: Mapping[str, Any]) -> str:
    losses = {(row["epsilon"], row["alpha"]): row["loss"] for row in search["tried"]}
    epsilons, alphas = (list(dict.fromkeys(values)) for values in zip(*losses, strict=True))
    rows = [(f"{epsilon}", *(f"{losses[epsilon, alpha]:.4f}" for alpha in alphas)) for epsilon in epsilons]
    return markdown_table(["epsilon", *(f"α = {alpha:g}" for alpha in alphas)], rows, num_text_columns=0)


def chosen_table(search: Mapping[str, Any]) -> str:
    chosen = f"epsilon {search['chosen']['epsilon']}, α = {search['chosen']['alpha']:g}"
    rows = [
        ("standard", str(search["steps"]), f"{search['standard_loss']:.4f}"),
        (
            f"chosen, from the first step on: {chosen}",
            str(search["steps"]),
            f"{search['chosen_from_the_start_loss']:.4f}",
        ),
    ]
    return markdown_table(["", "steps", "loss"], rows)


def stage_part(stage: Mapping[str, Any]) -> str:
    cost = (
        f"A step of one-pass ALUM takes {stage['cost_ratio']:.2f} of a standard step (medians, timed in turns); the "
        f"adversary enters after {100 * stage['start_fraction']:.0f} % of the steps."
    )
    return "\n\n".join([cost, arms_table(stage), differences_table(stage)])


def arms_table(stage: Mapping[str, Any]) -> str:
    metrics = list(stage["arms"][0]["seeds"][0])
    rows = [
        (
            row["arm"],
            str(row["steps"]),
            *(_spread([seed[metric] for seed in row["seeds"]], metric) for metric in metrics),
        )
        for row in stage["arms"]
    ]
    return markdown_table(["arm", "steps", *metrics], rows)


def differences_table(stage: Mapping[str, Any]) -> str:
    """ALUM minus each arm that it has to beat, of equal seeds."""
    of = {row["arm"]: row["seeds"] for row in stage["arms"]}
    metrics = [metric for metric in of["standard"][0] if metric != "seconds"]
    rows = []
    for arm in (name for name in of if name != "alum_one_pass"):
        pairs = list(zip(of["alum_one_pass"], of[arm], strict=True))
        cells = [_spread([ours[metric] - theirs[metric] for ours, theirs in pairs], metric) for metric in metrics]
        rows.append((arm, *cells))
    return markdown_table(["alum_one_pass minus", *metrics], rows)


def _spread(values: Sequence[float], metric: str) -> str:
    digits = 0 if metric == "seconds" else 3
    return f"{statistics.mean(values):.{digits}f} ± {(max(values) - min(values)) / 2:.{digits}f}"


def draw(record: Mapping[str, Any], folder: Path) -> None:
    """The validation losses of each stage's arms."""
    for stage in record["stages"]:
        arms = {
            row["arm"]: [{int(step): loss for step, loss in curve.items()} for curve in row["curves"]]
            for row in stage["arms"]
        }
        first = next(iter(stage["arms"][0]["seeds"][0]))
        write_validation_curves(folder / f"pretraining-{stage['name']}.png", arms, STAGES[stage["name"]], first)


PAGE = Page(DOCS / "studies" / "pretraining.md", parts, draw)

if __name__ == "__main__":
    PAGE.command(__doc__)
