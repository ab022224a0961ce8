"""Charts of an evaluation: curves over the radius, and rows of dots, a style for each model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alum.reports.pages.svg import MUTED, Point, axes_of, dot_of, draw_line, drawn, look_of, texts_of_points

if TYPE_CHECKING:  # an extra
    from matplotlib.figure import Figure

_CURVE_HEIGHT = 236
_BAND_ALPHA = 0.16
_MAX_RANKED_CHARACTERS = 20  # beside the axis


@dataclass(frozen=True)
class DotRow:
    """Row of a dot chart: its name, and for each model a point, or None where nothing was measured."""

    label: str
    points: Sequence[Point | None]


def curves_chart(lines: Sequence[Sequence[Point]], is_rate: bool, name: str, has_bands: bool = True) -> str:
    """Draws, as SVG, a line with its interval band for each model over the attack's radius, on a square-root scale."""
    return drawn(lambda: _curves_figure(lines, is_rate, has_bands), texts_of_points(lines), name)


def reliability_chart(lines: Sequence[Sequence[Point]], name: str) -> str:
    """Draws, as SVG, accuracy over confidence, which is ``x``, by a line for each model beside the diagonal."""
    return drawn(lambda: _reliability_figure(lines), texts_of_points(lines), name)


def dots_chart(rows: Sequence[DotRow], is_rate: bool, name: str) -> str:
    """Draws, as SVG, the rows of a dot chart below each other, each with a dot and an interval for each model."""
    return drawn(lambda: _dots_figure(rows, is_rate), texts_of_points([row.points for row in rows]), name)


def ranking_chart(rows: Sequence[tuple[str, int, Point | None]], is_rate: bool, name: str) -> str:
    """Draws, as SVG, models below each other: the name of each, its number, and a dot with an interval, or none."""
    texts = texts_of_points([[point for _, _, point in rows]])
    return drawn(lambda: _ranking_figure(rows, is_rate), texts, name)


# -- figures -----------------------------------------------------------------------------------------------------------


def _curves_figure(lines: Sequence[Sequence[Point]], is_rate: bool, has_bands: bool) -> "Figure":
    figure, axes = axes_of(_CURVE_HEIGHT, left=44, right=12, top=10, bottom=44)
    for index, points in enumerate(lines):
        if has_bands:
            x, low, high = ([getattr(point, name) for point in points] for name in ("x", "low", "high"))
            axes.fill_between(x, low, high, color=look_of(index)[0], alpha=_BAND_ALPHA, linewidth=0, zorder=2)
        draw_line(axes, index, points, dot_size=6.5)
    radii = sorted({point.x for points in lines for point in points})
    axes.set_xscale("function", functions=(_root, _square))
    axes.set_xlim(0, max(radii) or 1.0)
    axes.set_xticks(_apart(radii, max(radii) or 1.0), minor=False)
    axes.xaxis.set_major_formatter(lambda radius, _: f"{radius:g}")
    axes.xaxis.grid(False)
    axes.set_xlabel("radius ε (square-root scale)", color=MUTED, fontsize=11)
    _scale(axes.yaxis, axes.set_ylim, [point for points in lines for point in points], is_rate)
    for artist in (*axes.lines, *axes.collections):
        artist.set_clip_on(False)
    return figure


def _reliability_figure(lines: Sequence[Sequence[Point]]) -> "Figure":
    figure, axes = axes_of(_CURVE_HEIGHT, left=44, right=20, top=10, bottom=44)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, zorder=2)
    for index, points in enumerate(lines):
        draw_line(axes, index, points, dot_size=5.5)
    axes.set_xlabel("confidence", color=MUTED, fontsize=11)
    for axis, set_limits in ((axes.xaxis, axes.set_xlim), (axes.yaxis, axes.set_ylim)):
        _scale(axis, set_limits, [], is_rate=True)
    for line in axes.lines:
        line.set_clip_on(False)
    return figure


def _dots_figure(rows: Sequence[DotRow], is_rate: bool) -> "Figure":
    """Draws a dot chart; the name of a row stands above its dots, where it takes no width from the axis."""
    step, name_height, gap = 10, 18, 12
    num_models = max(len(row.points) for row in rows)
    row_height = name_height + step * num_models + gap
    height = row_height * len(rows) + 30
    figure, axes = axes_of(height, left=14, right=14, top=4, bottom=26)
    for number, row in enumerate(rows):
        top = number * row_height
        axes.text(0, top + 2, row.label, transform=axes.get_yaxis_transform(), va="top", fontsize=11.5)
        for index, point in enumerate(row.points):
            if point is not None:
                colour, marker = look_of(index)
                y = top + name_height + step * (index + 0.5)
                axes.plot([point.low, point.high], [y, y], color=colour, linewidth=1.8, zorder=3)
                axes.plot([point.value], [y], color=colour, marker=marker, gid=f"{number}-{index}", **dot_of(7))
    axes.set_ylim(row_height * len(rows), 0)
    axes.set_yticks([])
    _scale(axes.xaxis, axes.set_xlim, [point for row in rows for point in row.points if point], is_rate)
    for line in axes.lines:
        line.set_clip_on(False)
    return figure


def _ranking_figure(rows: Sequence[tuple[str, int, Point | None]], is_rate: bool) -> "Figure":
    step = 17
    figure, axes = axes_of(step * len(rows) + 30, left=130, right=20, top=4, bottom=26)
    for number, (label, index, point) in enumerate(rows):
        y = number + 0.5
        shown = label if len(label) <= _MAX_RANKED_CHARACTERS else label[: _MAX_RANKED_CHARACTERS - 1] + "…"
        axes.text(-0.04, y, shown, transform=axes.get_yaxis_transform(), va="center", ha="right", fontsize=11)
        if point is not None:
            colour, marker = look_of(index)
            axes.plot([point.low, point.high], [y, y], color=colour, linewidth=1.8, zorder=3)
            axes.plot([point.value], [y], color=colour, marker=marker, gid=f"0-{number}", **dot_of(7))
    axes.set_ylim(len(rows), 0)
    axes.set_yticks([])
    _scale(axes.xaxis, axes.set_xlim, [point for _, _, point in rows if point], is_rate)
    for line in axes.lines:
        line.set_clip_on(False)
    return figure


def _scale(axis: Any, set_limits: Any, points: Sequence[Point], is_rate: bool) -> None:
    """Scales an axis: rates from 0 to 100 %, so that charts can be compared, others over the range of the points."""
    if is_rate:
        set_limits(0, 1)
        axis.set_ticks([0, 0.25, 0.5, 0.75, 1])
        axis.set_major_formatter(lambda rate, _: f"{100 * rate:.0f} %")
        return
    low, high = min(0.0, *(point.low for point in points)), max(0.0, *(point.high for point in points))
    set_limits(low, high if high > low else low + 1)


def _root(values: Any) -> Any:
    import numpy as np

    return np.sqrt(np.maximum(values, 0))


def _square(values: Any) -> Any:
    import numpy as np

    return np.square(values)


def _apart(radii: Sequence[float], last: float) -> list[float]:
    """Chooses radii to label, whose labels do not run into each other; the last one is always among them."""
    kept: list[float] = []
    for radius in reversed(radii):
        if not kept or math.sqrt(kept[-1] / last) - math.sqrt(radius / last) > 0.11:
            kept.append(radius)
    return kept[::-1]
