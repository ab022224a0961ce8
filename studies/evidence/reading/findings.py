"""Trainings of each study by arm and seed, and their differences from the baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

from scipy.stats import t

from benchmarks.tables import markdown_table, versions
from studies.evidence import ledger
from studies.evidence.jobs import STUDIES
from studies.evidence.reading.figures import TASK_FIGURES, TEXT_FIGURES, Figure, Record

TEXT_BASELINE, TASK_BASELINE = "standard", "standard, at the cost of virtual"


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
        return TEXT_FIGURES[1:4] if self.is_text else (TASK_FIGURES[0], TASK_FIGURES[2], TASK_FIGURES[-1])

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
