"""Forest plot: what each arm of a study differs by from the baseline, with its interval, a panel for each figure."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes

from studies.evidence.reading.figures import Figure
from studies.evidence.reading.findings import Findings

matplotlib.use("Agg")
import matplotlib.pyplot as plt

GRAY, BLUE = "tab:gray", "tab:blue"
INCHES_WIDE = 6.0
"""A phone shows it so wide that letters of 12 points are read."""
INCHES_AN_ARM, POINTS = 0.46, 12


def draw(study: Findings, file: Path) -> None:
    """Writes the picture, panels under each other; intervals that are long are cut off."""
    arms = [arm for arm in study.arms if arm != study.baseline]
    height = len(study.differences) * (INCHES_AN_ARM * len(arms) + 0.8) + 0.4
    picture, axes = plt.subplots(
        len(study.differences), 1, figsize=(INCHES_WIDE, height), layout="constrained", squeeze=False
    )
    picture.suptitle(f"Difference from “{study.baseline}”", x=0.01, ha="left", fontsize=POINTS)
    for axis, figure in zip(axes[:, 0], study.differences, strict=True):
        _panel(axis, study, arms, figure)
        axis.set_yticks(range(len(arms)), [textwrap.fill(arm, 25) for arm in arms], fontsize=POINTS - 1)
        axis.invert_yaxis()
    picture.savefig(file, dpi=110)
    plt.close(picture)


def _panel(axis: Axes, study: Findings, arms: Sequence[str], figure: Figure) -> None:
    found = [study.difference(arm, figure) for arm in arms]
    for place, difference in enumerate(found):
        if difference is None:
            continue
        if difference.low is not None and difference.high is not None:
            axis.plot([difference.low, difference.high], [place, place], color=GRAY, linewidth=2)
        axis.plot([difference.mean], [place], "o", color=BLUE, markersize=6)
    axis.axvline(0.0, color="black", linewidth=0.8)
    most = 1.6 * max((abs(difference.mean) for difference in found if difference), default=1.0)
    axis.set_xlim(-most, most)
    axis.set_xlabel(f"{figure.name} ({figure.better} is better)", fontsize=POINTS)
    axis.locator_params(axis="x", nbins=5)
    axis.tick_params(axis="x", labelsize=POINTS)
    axis.tick_params(axis="y", length=0)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.grid(axis="x", alpha=0.3)
