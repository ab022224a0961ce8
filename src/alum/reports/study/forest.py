"""Forest plot of a study: differences of arms from a baseline on each task, as inline SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alum.reports.pages.svg import MUTED, Point, axes_of, dot_of, drawn, look_of, texts_of_points

if TYPE_CHECKING:  # an extra
    from matplotlib.figure import Figure

_STEP, _NAME, _GAP = 13, 18, 10  # points
_MARGIN = 1.08


@dataclass(frozen=True)
class ForestRow:
    """Differences on a task, a point for each arm; None where nothing was measured."""

    task: str
    points: Sequence[Point | None]


def forest_plot(rows: Sequence[ForestRow], unit: str, name: str) -> str:
    """Draws the differences on each task below each other, with a line at no difference; ``unit`` names the axis."""
    return drawn(lambda: _figure(rows, unit), texts_of_points([row.points for row in rows]), name)


def _figure(rows: Sequence[ForestRow], unit: str) -> "Figure":
    num_arms = max(len(row.points) for row in rows)
    row_height = _NAME + _STEP * num_arms + _GAP
    height = row_height * len(rows) + 48
    figure, axes = axes_of(height, left=14, right=14, top=4, bottom=44)
    for number, row in enumerate(rows):
        top = number * row_height
        axes.text(0, top + 2, row.task, transform=axes.get_yaxis_transform(), va="top", fontsize=11.5)
        for index, point in enumerate(row.points):
            if point is not None:
                colour, marker = look_of(index)
                y = top + _NAME + _STEP * (index + 0.5)
                axes.plot([point.low, point.high], [y, y], color=colour, linewidth=1.8, zorder=3)
                axes.plot([point.value], [y], color=colour, marker=marker, gid=f"{number}-{index}", **dot_of(7))
    axes.axvline(0, color=MUTED, linewidth=1.2, zorder=1)
    axes.set_ylim(row_height * len(rows), 0)
    axes.set_yticks([])
    points = [point for row in rows for point in row.points if point is not None]
    widest = max([abs(end) for point in points for end in (point.low, point.high)] or [0.0]) or 1.0
    axes.set_xlim(-_MARGIN * widest, _MARGIN * widest)
    axes.set_xlabel(unit, color=MUTED, fontsize=11)
    return figure
