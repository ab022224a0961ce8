"""Makes the page on what robustness costs from the study's record, and trains nothing."""

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

from benchmarks.pages import Page
from benchmarks.places import DOCS
from benchmarks.tables import markdown_table
from studies.kept_runs import conditions

matplotlib.use("Agg")
import matplotlib.pyplot as plt

CHEAP, ENOUGH = 1.25, 0.8
"""Cost of a cheap arm at most, and the share of the gain that it has to keep."""


def parts(record: Mapping[str, Any]) -> dict[str, str]:
    minutes = f"{record['training_minutes']:.0f} minutes of training, two runs at a time"
    return {
        "conditions": conditions(record, "make study-cost", minutes),
        "scale": scale(record),
        "arms": table(record),
        "presets": presets(record),
    }


def scale(record: Mapping[str, Any]) -> str:
    of = record["scale"]
    return (
        f"{of['num_rows']} sentences, {of['num_epochs']} epochs; tested on "
        f"{of['num_test_rows']}, attacked on {of['num_attacked_rows']} by PGD of {of['num_attack_steps']} steps at "
        f"radius {record['epsilon']}."
    )


def table(record: Mapping[str, Any]) -> str:
    """A row an arm: means over the seeds, and the share that it keeps of what one-pass ALUM adds under PGD."""
    means, kept = arm_means(record), kept_shares(record)
    rows = [
        (
            arm,
            f"{of['cost']:.2f}",
            f"{of['accuracy']:.3f}",
            f"{of['pgd']:.3f}",
            " / ".join(f"{value:.3f}" for value in of["pgd_of_seeds"]),
            f"{100 * kept[arm]:.0f} %" if kept else "–",
        )
        for arm, of in sorted(means.items(), key=lambda pair: pair[1]["cost"])
    ]
    return markdown_table(["arm", "FLOPs", "accuracy", "under PGD", "by seed", "of one-pass ALUM's gain"], rows)


def presets(record: Mapping[str, Any]) -> str:
    """Cheap arms that keep most of what one-pass ALUM adds under PGD, if there are any."""
    means, kept = arm_means(record), kept_shares(record)
    cheap = [arm for arm, of in means.items() if arm != "standard" and of["cost"] <= CHEAP + 0.005 and kept]
    enough = [arm for arm in cheap if kept[arm] >= ENOUGH]
    asked = f"at most {CHEAP} standard trainings keeps at least {100 * ENOUGH:.0f} % of what one-pass ALUM adds"
    if enough:
        return f"For {asked}: {', '.join(enough)}."
    nearest = max(cheap, key=lambda arm: kept[arm], default=None)
    nearest_words = f": the nearest is `{nearest}` with {100 * kept[nearest]:.0f} %" if nearest else ""
    return f"No arm for {asked}{nearest_words}. So none is a row of the table of methods."


def kept_shares(record: Mapping[str, Any]) -> dict[str, float]:
    """Share of one-pass ALUM's gain under PGD that each arm has; none before both ends of it are known."""
    means = arm_means(record)
    if not {"standard", "alum_one_pass"} <= means.keys():
        return {}
    standard, whole = means["standard"]["pgd"], means["alum_one_pass"]["pgd"]
    return {arm: (of["pgd"] - standard) / (whole - standard) for arm, of in means.items()} if whole != standard else {}


def arm_means(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Means over seeds of each arm; its cost is that of its counted FLOPs over standard training's."""
    found: dict[str, dict[str, Any]] = {}
    for arm in dict.fromkeys(run["arm"] for run in record["arms"]):
        runs = [run for run in record["arms"] if run["arm"] == arm]
        found[arm] = {name: statistics.mean(run[name] for run in runs) for name in ("train_flops", "accuracy", "pgd")}
        found[arm]["pgd_of_seeds"] = [run["pgd"] for run in runs]
    for of in found.values():
        of["cost"] = of["train_flops"] / found["standard"]["train_flops"] if "standard" in found else float("nan")
    return found


def draw(record: Mapping[str, Any], folder: Path) -> None:
    """Accuracy under PGD over cost, an arm a point, a line from its lowest to its highest seed."""
    figure, axis = plt.subplots(figsize=(8, 5), layout="constrained")
    for arm, of in arm_means(record).items():
        seeds = [100 * value for value in of["pgd_of_seeds"]]
        axis.plot([of["cost"]] * 2, [min(seeds), max(seeds)], color="0.8", zorder=1)
        axis.scatter(of["cost"], 100 * of["pgd"], zorder=2)
        axis.annotate(arm, (of["cost"], 100 * of["pgd"]), xytext=(5, 3), textcoords="offset points", fontsize=8)
    axis.set(
        xlabel="FLOPs of training, standard training = 1",
        ylabel=f"accuracy under PGD, radius {record['epsilon']}, %",
        xlim=(0.9, None),
    )
    figure.savefig(folder / "cost.png", dpi=100)
    plt.close(figure)


PAGE = Page(DOCS / "studies" / "cost.md", parts, draw)

if __name__ == "__main__":
    PAGE.command(__doc__)
