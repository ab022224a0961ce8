"""Forest plot: what each arm differs by from the baseline, with its interval, a row of panels for each study."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes

from studies.evidence.reading.figures import Figure
from studies.evidence.reading.findings import Findings

matplotlib.use("Agg")
import matplotlib.pyplot as plt

GRAY, BLUE = "tab:gray", "tab:blue"
INCHES_AN_ARM = 0.3


def draw(studies: Sequence[Findings], file: Path) -> None:
    """Writes the picture; intervals that are long are cut off."""
    num_columns = max(len(study.differences) for study in studies)
    heights = [len(study.arms) + 2 for study in studies]
    picture = plt.figure(figsize=(3 + 3 * num_columns, INCHES_AN_ARM * sum(heights) + 0.3), layout="constrained")
    rows = picture.subfigures(len(studies), 1, height_ratios=heights, squeeze=False)[:, 0]
    for row, study in zip(rows, studies, strict=True):
        row.suptitle(f"{study.study}: difference from “{study.baseline}”", x=0.01, ha="left", fontsize=10)
        arms = [arm for arm in study.arms if arm != study.baseline]
        axes = row.subplots(1, len(study.differences), sharey=True, squeeze=False)[0]
        for axis, figure in zip(axes, study.differences, strict=True):
            _panel(axis, study, arms, figure)
        axes[0].set_yticks(range(len(arms)), arms, fontsize=8)
        axes[0].invert_yaxis()
    picture.savefig(file, dpi=110)
    plt.close(picture)


def _panel(axis: Axes, study: Findings, arms: Sequence[str], figure: Figure) -> None:
    found = [study.difference(arm, figure) for arm in arms]
    for place, difference in enumerate(found):
        if difference is None:
            continue
        if difference.low is not None and difference.high is not None:
            axis.plot([difference.low, difference.high], [place, place], color=GRAY, linewidth=1.5)
        axis.plot([difference.mean], [place], "o", color=BLUE, markersize=5)
    axis.axvline(0.0, color="black", linewidth=0.8)
    most = 1.6 * max((abs(difference.mean) for difference in found if difference), default=1.0)
    axis.set_xlim(-most, most)
    axis.set_xlabel(f"{figure.name} ({figure.better} is better)", fontsize=9)
    axis.tick_params(axis="x", labelsize=8)
    axis.tick_params(axis="y", length=0)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.grid(axis="x", alpha=0.3)
