"""Curves of a study: validation scores over the steps of training, as inline SVG."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from alum.reports.pages.svg import DASHES, MUTED, NUM_STYLES, Point, axes_of, dot_of, drawn, look_of, texts_of_points

if TYPE_CHECKING:  # an extra
    from matplotlib.figure import Figure

_HEIGHT = 236


def steps_chart(lines: Sequence[Sequence[Point]], unit: str, name: str) -> str:
    """Draws a line for each arm over its steps, which are ``x``; ``unit`` names the other axis."""
    return drawn(lambda: _figure(lines, unit), texts_of_points(lines), name)


def _figure(lines: Sequence[Sequence[Point]], unit: str) -> "Figure":
    figure, axes = axes_of(_HEIGHT, left=58, right=14, top=10, bottom=44)
    for index, points in enumerate(lines):
        colour, marker = look_of(index)
        x, values = [point.x for point in points], [point.value for point in points]
        axes.plot(x, values, color=colour, linewidth=1.8, linestyle=DASHES[index % NUM_STYLES], zorder=3)
        for number, point in enumerate(points):
            axes.plot([point.x], [point.value], color=colour, marker=marker, gid=f"{index}-{number}", **dot_of(5.5))
    axes.set_xlim(left=0)
    axes.set_xlabel("steps", color=MUTED, fontsize=11)
    axes.set_ylabel(unit, color=MUTED, fontsize=11)
    return figure
