"""Makes the page on what regularises and what makes robust from the ledger, and trains nothing."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

import matplotlib
from scipy.stats import t

from benchmarks.pages import filled
from benchmarks.places import DOCS
from benchmarks.tables import markdown_table, versions
from studies.evidence import few_labels, ledger
from studies.evidence.jobs import STUDIES

matplotlib.use("Agg")
import matplotlib.pyplot as plt

RESULTS = DOCS / "results"
TEXT_BASELINE, TASK_BASELINE = "standard", "standard, at the cost of virtual"
Record = Mapping[str, Any]


class Difference(NamedTuple):
    """Mean of paired differences over seeds, and the ends of its 95 % interval by Student's t; None for one seed."""

    mean: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        shown = f"{self.mean:+.3f}"
        shown += "" if self.low is None else f" ({self.low:+.3f} to {self.high:+.3f})"
        return shown.replace("-", "−")


def difference_of(values: Sequence[float]) -> Difference:
    mean = fmean(values)
    if len(values) < 2:
        return Difference(mean, None, None)
    half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return Difference(mean, mean - half, mean + half)


@dataclass(frozen=True)
class Figure:
    """A figure of a training's record, and how it is written."""

    name: str
    of: Callable[[Record], float]
    digits: int = 3
    better: str = "lower"

    def mean(self, records: Sequence[Record]) -> str:
        return f"{fmean(map(self.of, records)):.{self.digits}f}"


def _best(record: Record) -> Record:
    best: Record = record["epochs"][record["best_epoch"] - 1]
    return best


def _of_text(split: str, score: str) -> Callable[[Record], float]:
    return lambda record: float(record[split][score])


def _of_task(split: str, score: str) -> Callable[[Record], float]:
    return lambda record: float(_best(record)[split][score])


def _under_pgd(place: int) -> Callable[[Record], float]:
    return lambda record: float(_best(record)["pgd"][place]["accuracy"])


TEXT_FIGURES = (
    Figure("validation", _of_text("validation", "loss")),
    Figure("test", _of_text("test", "loss")),
    Figure("other text", _of_text("other", "loss")),
    Figure("ECE, test", _of_text("test", "expected_calibration_error")),
    Figure("best epoch", lambda record: record["best_epoch"], 0),
    Figure("cost to it", lambda record: record["cost_to_best"], 0),
)
TASK_FIGURES = (
    Figure("NLL", _of_task("test", "negative_log_likelihood")),
    Figure("after temperature", _of_task("test_after_temperature", "negative_log_likelihood")),
    Figure("accuracy", _of_task("test", "accuracy"), better="higher"),
    Figure("ECE", _of_task("test", "expected_calibration_error")),
    *(
        Figure(f"PGD, ε {radius}", _under_pgd(place), better="higher")
        for place, radius in enumerate(few_labels.RADII, start=1)
    ),
)


@dataclass(frozen=True)
class Findings:
    """Trainings of a study by arm and seed, of the arms that there are now."""

    study: str
    arms: Mapping[str, Mapping[int, Record]]

    @property
    def is_text(self) -> bool:
        return self.study.startswith("text:")

    @property
    def baseline(self) -> str:
        return TEXT_BASELINE if self.is_text else TASK_BASELINE

    @property
    def differences(self) -> tuple[Figure, ...]:
        """Figures that arms are compared by with the baseline."""
        return (TEXT_FIGURES[1],) if self.is_text else (TASK_FIGURES[0], TASK_FIGURES[2], TASK_FIGURES[-1])

    def difference(self, arm: str, figure: Figure) -> Difference | None:
        """Arm minus baseline on the seeds of both."""
        own, other = self.arms[arm], self.arms.get(self.baseline, {})
        seeds = [seed for seed in own if seed in other]
        if arm == self.baseline or not seeds:
            return None
        return difference_of([figure.of(own[seed]) - figure.of(other[seed]) for seed in seeds])

    def table(self) -> str:
        figures = TEXT_FIGURES if self.is_text else TASK_FIGURES
        heads = [figure.name for figure in figures] + [f"{figure.name} − baseline's" for figure in self.differences]
        rows = []
        for arm, by_seed in self.arms.items():
            records = list(by_seed.values())
            found = [self.difference(arm, figure) for figure in self.differences]
            cells = [figure.mean(records) for figure in figures] + [str(each) if each else "–" for each in found]
            rows.append([f"**{arm}**" if arm == self.baseline else arm, str(len(records)), *cells])
        return markdown_table(["arm", "seeds", *heads], rows)

    def conditions(self) -> str:
        """When and on what its trainings were made."""
        records = [record for by_seed in self.arms.values() for record in by_seed.values()]
        places = dict.fromkeys(
            f"{record['date']} on {record['device']} ({versions(record['environment'])})" for record in records
        )
        sizes = ", ".join(f"{name} {value}" for name, value in records[0]["sizes"].items() if value is not None)
        return f"{len(records)} trainings: {'; '.join(places)}. Sizes: {sizes.replace('_', ' ')}."


def findings_of(file: Path) -> list[Findings]:
    """Studies of the ledger in the order of `STUDIES`, arms in that of their tables."""
    found = ledger.known([file])
    studies = []
    for name, study in STUDIES.items():
        arms = {
            arm.name: {key.seed: found[key] for key in sorted(found) if key[:2] == (name, arm.name)}
            for arm in study.arms
        }
        arms = {arm: by_seed for arm, by_seed in arms.items() if by_seed}
        if arms:
            studies.append(Findings(name, arms))
    return studies


def parts(studies: Sequence[Findings]) -> dict[str, str]:
    return {
        name: "\n\n".join(
            f"### {each.study}\n\n{each.conditions()}\n\n{each.table()}" for each in studies if each.is_text == is_text
        )
        or "Nothing is trained yet."
        for name, is_text in (("text", True), ("tasks", False))
    }


def draw(studies: Sequence[Findings], file: Path) -> None:
    """Forest plot: each arm's difference from the baseline, with its interval, cut off where it is long."""
    panels = [(each, figure) for each in studies for figure in each.differences]
    heights = [len(each.arms) + 2 for each, _ in panels]
    figure, axes = plt.subplots(
        len(panels),
        1,
        figsize=(8, 0.3 * sum(heights)),
        squeeze=False,
        layout="constrained",
        height_ratios=heights,
    )
    for axis, (each, of) in zip(axes[:, 0], panels, strict=True):
        found_of = {arm: found for arm in each.arms if (found := each.difference(arm, of)) is not None}
        for place, found in enumerate(found_of.values()):
            if found.low is not None and found.high is not None:
                axis.plot([found.low, found.high], [place, place], color="tab:gray", linewidth=1.5)
            axis.plot([found.mean], [place], "o", color="tab:blue", markersize=5)
        axis.axvline(0.0, color="black", linewidth=0.8)
        axis.set_yticks(range(len(found_of)), found_of)
        axis.invert_yaxis()
        most = 1.6 * max((abs(found.mean) for found in found_of.values()), default=1.0)
        axis.set_xlim(-most, most)  # intervals of two seeds may be longer
        title = f"{each.study}: {of.name} ({of.better} is better), difference from “{each.baseline}”"
        axis.set_title(title, loc="left", fontsize=10)
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.grid(axis="x", alpha=0.3)
    figure.savefig(file, dpi=120)
    plt.close(figure)


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--output_dir", type=Path, default=RESULTS, help="folder of the ledger")
    folder = flags.parse_args().output_dir
    studies = findings_of(folder / "evidence.jsonl")
    text = filled((RESULTS / "evidence.md").read_text(encoding="utf-8"), parts(studies))
    (folder / "evidence.md").write_text(text, encoding="utf-8")
    draw(studies, folder / "evidence.png")
    print(text)


if __name__ == "__main__":
    main()
