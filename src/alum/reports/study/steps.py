"""Curves of a study: validation scores over the steps of training, as inline SVG."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from alum.reports.pages.svg import MUTED, Point, axes_of, draw_line, drawn, texts_of_points

if TYPE_CHECKING:  # an extra
    from matplotlib.figure import Figure

_HEIGHT = 236


def steps_chart(lines: Sequence[Sequence[Point]], unit: str, name: str) -> str:
    """Draws a line for each arm over its steps, which are ``x``; ``unit`` names the other axis."""
    return drawn(lambda: _figure(lines, unit), texts_of_points(lines), name)


def _figure(lines: Sequence[Sequence[Point]], unit: str) -> "Figure":
    figure, axes = axes_of(_HEIGHT, left=58, right=14, top=10, bottom=44)
    for index, points in enumerate(lines):
        draw_line(axes, index, points, dot_size=5.5)
    axes.set_xlim(left=0)
    axes.set_xlabel("steps", color=MUTED, fontsize=11)
    axes.set_ylabel(unit, color=MUTED, fontsize=11)
    return figure
