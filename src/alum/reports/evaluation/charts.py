"""Charts of an evaluation as inline SVG: matplotlib draws them, and the page's style sheet colours them.

Colours are classes instead of values, so that one picture serves light, dark and paper; there are no style attributes,
which a strict Content-Security-Policy would refuse; text stays text.
"""

import hashlib
import io
import logging
import math
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # an extra
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)

NUM_STYLES = 6
_MARKERS = ("o", "s", "^", "D", "v", "P")
_DASHES = ("solid", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)), (0, (8, 3)), (0, (3, 1.5)))
_WIDTH = 340  # points, which are CSS pixels: a chart fills a phone and stands beside others on a desk
_CURVE_HEIGHT = 236
_BAND_ALPHA = 0.16

# Colours that stand for classes of the style sheet.
_INK, _MUTED, _GRID, _PAPER = "#010101", "#020202", "#030303", "#040404"
_MODELS = tuple(f"#05050{index}" for index in range(NUM_STYLES))
_CLASSES = {_INK: "ink", _MUTED: "muted", _GRID: "grid", _PAPER: "paper"}
_CLASSES |= {colour: f"m{index}" for index, colour in enumerate(_MODELS)}

_STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": _MUTED,
    "axes.grid": True,
    "axes.linewidth": 0.8,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 11,
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    "svg.fonttype": "none",
    "text.color": _INK,
    "text.parse_math": False,  # names are a user's, in which dollar signs are no mathematics
    "xtick.color": _MUTED,
    "xtick.labelsize": 11,
    "ytick.color": _MUTED,
    "ytick.labelsize": 11,
    "ytick.major.size": 0,
}


@dataclass(frozen=True)
class Point:
    """Point of a chart: a score, its interval, and the text shown when pointed at; ``x`` is a radius, if it has one."""

    value: float
    low: float
    high: float
    text: str
    x: float = 0.0


@dataclass(frozen=True)
class DotRow:
    """Row of a dot chart: its name, and for each model a point, or None where nothing was measured."""

    label: str
    points: Sequence[Point | None]


def has_matplotlib() -> bool:
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        return False
    return True


def curves_chart(lines: Sequence[Sequence[Point]], is_rate: bool, name: str) -> str:
    """Draws, as SVG, a line with its interval band for each model over the attack's radius, on a square-root scale."""
    return _drawn(lambda: _curves_figure(lines, is_rate), _texts(lines), name)


def dots_chart(rows: Sequence[DotRow], is_rate: bool, name: str) -> str:
    """Draws, as SVG, the rows of a dot chart below each other, each with a dot and an interval for each model."""
    return _drawn(lambda: _dots_figure(rows, is_rate), _texts([row.points for row in rows]), name)


# -- figures -----------------------------------------------------------------------------------------------------------


def _curves_figure(lines: Sequence[Sequence[Point]], is_rate: bool) -> "Figure":
    figure, axes = _axes(_CURVE_HEIGHT, left=44, right=12, top=10, bottom=44)
    for index, points in enumerate(lines):
        colour, marker = _look(index)
        x = [point.x for point in points]
        low, high = ([getattr(point, end) for point in points] for end in ("low", "high"))
        axes.fill_between(x, low, high, color=colour, alpha=_BAND_ALPHA, linewidth=0, zorder=2)
        values = [point.value for point in points]
        axes.plot(x, values, color=colour, linewidth=1.8, linestyle=_DASHES[index % NUM_STYLES], zorder=3)
        for number, point in enumerate(points):
            gid = f"{index}-{number}"
            axes.plot([point.x], [point.value], color=colour, marker=marker, gid=gid, **_dot(6.5))
    radii = sorted({point.x for points in lines for point in points})
    axes.set_xscale("function", functions=(_root, _square))
    axes.set_xlim(0, max(radii) or 1.0)
    axes.set_xticks(_apart(radii, max(radii) or 1.0), minor=False)
    axes.xaxis.set_major_formatter(lambda radius, _: f"{radius:g}")
    axes.xaxis.grid(False)
    axes.set_xlabel("radius ε (square-root scale)", color=_MUTED, fontsize=11)
    _scale(axes.yaxis, axes.set_ylim, [point for points in lines for point in points], is_rate)
    for artist in (*axes.lines, *axes.collections):
        artist.set_clip_on(False)
    return figure


def _dots_figure(rows: Sequence[DotRow], is_rate: bool) -> "Figure":
    """Draws a dot chart; the name of a row stands above its dots, where it takes no width from the axis."""
    step, name_height, gap = 10, 18, 12
    num_models = max(len(row.points) for row in rows)
    row_height = name_height + step * num_models + gap
    height = row_height * len(rows) + 30
    figure, axes = _axes(height, left=14, right=14, top=4, bottom=26)
    for number, row in enumerate(rows):
        top = number * row_height
        axes.text(0, top + 2, row.label, transform=axes.get_yaxis_transform(), va="top", fontsize=11.5)
        for index, point in enumerate(row.points):
            if point is not None:
                colour, marker = _look(index)
                y = top + name_height + step * (index + 0.5)
                axes.plot([point.low, point.high], [y, y], color=colour, linewidth=1.8, zorder=3)
                axes.plot([point.value], [y], color=colour, marker=marker, gid=f"{number}-{index}", **_dot(7))
    axes.set_ylim(row_height * len(rows), 0)
    axes.set_yticks([])
    _scale(axes.xaxis, axes.set_xlim, [point for row in rows for point in row.points if point], is_rate)
    for line in axes.lines:
        line.set_clip_on(False)
    return figure


def _axes(height: float, left: float, right: float, top: float, bottom: float) -> tuple["Figure", "Axes"]:
    """Makes a figure with axes, without pyplot, whose state is global; height and margins are in points."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH / 72, height / 72), facecolor="none")
    place = (left / _WIDTH, bottom / height, (_WIDTH - left - right) / _WIDTH, (height - top - bottom) / height)
    axes = figure.add_axes(place)
    axes.set_facecolor("none")
    return figure, axes


def _look(index: int) -> tuple[str, str]:
    """Colour and marker of a model; a seventh model has the first one's colour with another marker."""
    return _MODELS[index % NUM_STYLES], _MARKERS[(index + index // NUM_STYLES) % NUM_STYLES]


def _dot(size: float) -> dict[str, Any]:
    return {"markersize": size, "markeredgecolor": _PAPER, "markeredgewidth": 0.9, "linestyle": "none", "zorder": 4}


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


# -- SVG ---------------------------------------------------------------------------------------------------------------

_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"


def _texts(lines: Sequence[Sequence[Point | None]]) -> dict[str, str]:
    return {
        f"{number}-{index}": point.text
        for number, line in enumerate(lines)
        for index, point in enumerate(line)
        if point
    }


def _drawn(figure: Any, texts: dict[str, str], name: str) -> str:
    import matplotlib.style

    file = io.BytesIO()
    salt = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]  # names within a page differ
    with warnings.catch_warnings(), matplotlib.style.context(["default", {**_STYLE, "svg.hashsalt": salt}]):
        warnings.filterwarnings("ignore", message="Glyph")  # of letters that its own font has not; a browser's has
        figure().savefig(file, format="svg", metadata={"Date": None})
    return _inline(ET.fromstring(file.getvalue().decode()), texts)


def _inline(svg: ET.Element, texts: dict[str, str]) -> str:
    """Turns a drawn SVG into an element of the page: styles become attributes and classes, points get tooltips."""
    for parent in svg.iter():
        for child in list(parent):
            if child.tag.endswith(("metadata", "style")):
                parent.remove(child)
    for element in svg.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
        if (link := element.attrib.pop(_LINK, None)) is not None:
            element.set("href", link)
        _move_styles(element)
        if (text := texts.get(element.get("id", ""))) is not None:
            title = ET.Element("title")
            title.text = text
            element.insert(0, title)
            element.set("class", "point")
        if element.tag in ("g", "svg"):
            element.attrib.pop("id", None)  # the same in every chart; what is referred to has names of its own
    for name in ("width", "height", "version"):
        svg.attrib.pop(name, None)
    svg.set("aria-hidden", "true")  # the caption names it, and a table beside it has all its numbers
    svg.set("focusable", "false")
    return ET.tostring(svg, encoding="unicode")


def _move_styles(element: ET.Element) -> None:
    styles = dict(pair.split(":", 1) for pair in element.attrib.pop("style", "").split(";") if ":" in pair)
    classes = []
    for name, value in ((name.strip(), value.strip()) for name, value in styles.items()):
        if name in ("fill", "stroke") and value in _CLASSES:
            classes.append(f"{name}-{_CLASSES[value]}")
        elif name == "font":
            element.set("font-size", next(part for part in value.split() if part.endswith("px")).removesuffix("px"))
        elif name not in ("font-family", "white-space"):
            element.set(name, value)
    for name in ("fill", "stroke"):  # matplotlib writes some colours as attributes
        if element.get(name) in _CLASSES:
            classes.append(f"{name}-{_CLASSES[element.attrib.pop(name)]}")
    if classes:
        element.set("class", " ".join(classes))
