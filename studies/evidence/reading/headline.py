"""Picture of what an adversary buys in fine-tuning: accuracy under attack and without, a row an arm, a dot a seed."""

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import matplotlib
from matplotlib.axes import Axes

from studies.evidence.reading.figures import TASK_FIGURES
from studies.evidence.reading.findings import Findings

matplotlib.use("Agg")
import matplotlib.pyplot as plt

STUDY = "snli:full"
ARMS = {
    "virtual": "alum_virtual",
    "one-pass": "alum_one_pass",
    "R-Drop": "R-Drop (dropout, no δ)",
    "noise of its divergence": "noise of equal strength",
    "standard, at the cost of virtual": "standard, equal cost",
}
"""Arms that are shown, from above, and what they are called to readers who know none."""
CLEAN, ATTACKED = "accuracy", "PGD, ε 0.03"


class Palette(NamedTuple):
    """Colours of a picture on a light or a dark page."""

    paper: str
    ink: str
    clean: str
    attacked: str


PALETTES = {
    "headline.png": Palette("white", "#222222", "#6b7079", "#1f6fb2"),
    "headline-dark.png": Palette("#131416", "#e4e6eb", "#8a8f98", "#6db3f2"),
}


def draw_headline(study: Findings, folder: Path) -> None:
    """Writes the picture for light and for dark pages."""
    for name, palette in PALETTES.items():
        with plt.rc_context({"font.size": 11.5}):
            picture, axis = plt.subplots(figsize=(6.4, 3.4), facecolor=palette.paper, layout="constrained")
            _draw(axis, study, palette)
            picture.savefig(folder / name, dpi=150, facecolor=palette.paper)
            plt.close(picture)


def percentages(study: Findings, figure: str) -> Mapping[str, list[float]]:
    """A figure of each shown arm in percent, a value a seed."""
    (of,) = (each for each in TASK_FIGURES if each.name == figure)
    return {arm: [100 * of.of(record) for record in study.arms[arm].values()] for arm in ARMS}


def _draw(axis: Axes, study: Findings, palette: Palette) -> None:
    clean, attacked = percentages(study, CLEAN), percentages(study, ATTACKED)
    axis.set_facecolor(palette.paper)
    for row, arm in enumerate(ARMS):
        ends = fmean(attacked[arm]), fmean(clean[arm])
        axis.plot(ends, (row, row), color=palette.clean, alpha=0.35, linewidth=5, solid_capstyle="round", zorder=1)
        for values, mean, colour in zip(
            (attacked[arm], clean[arm]), ends, (palette.attacked, palette.clean), strict=True
        ):
            axis.scatter(values, [row] * len(values), s=16, color=colour, alpha=0.55, linewidths=0, zorder=2)
            axis.scatter([mean], [row], s=70, color=colour, edgecolors=palette.paper, linewidths=1.2, zorder=3)
            axis.annotate(
                f"{mean:.1f} %",
                (mean, row),
                (0, 9),
                textcoords="offset points",
                ha="center",
                color=colour,
                fontsize=11,
            )
    axis.set_yticks(range(len(ARMS)), ARMS.values(), color=palette.ink)
    axis.invert_yaxis()
    axis.set_ylim(len(ARMS) - 0.5, -1.15)
    first = next(iter(ARMS))
    for by_arm, word, colour in ((attacked, "under attack", palette.attacked), (clean, "without", palette.clean)):
        place = fmean(by_arm[first])
        axis.text(place, -0.72, word, ha="center", va="center", color=colour, fontweight="bold")
    axis.set_xlabel("accuracy of MiniLM-L6 on SNLI, percent", color=palette.ink)
    axis.tick_params(colors=palette.ink, length=0)
    axis.spines[:].set_visible(False)
    axis.grid(axis="x", color=palette.clean, alpha=0.2)
