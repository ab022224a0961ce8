"""Pictures of pages as inline SVG: matplotlib draws them, and a page's style sheet colours them.

Colours are classes instead of values, so that one picture serves light, dark and paper; there are no style attributes,
which a strict Content-Security-Policy would refuse; text stays text.
"""

import hashlib
import io
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alum.reports.pictures import with_visible_texts

if TYPE_CHECKING:  # an extra
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NUM_STYLES = 6
GLYPHS = "●■▲◆▼✚"  # the markers, in text
_MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("solid", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)), (0, (8, 3)), (0, (3, 1.5)))
_WIDTH = 340  # points, which are CSS pixels: a chart fills a phone and stands beside others on a desk

# Colours that stand for classes of the style sheet.
INK, MUTED, GRID, PAPER = "#010101", "#020202", "#030303", "#040404"
_MODELS = tuple(f"#05050{index}" for index in range(NUM_STYLES))
_CLASSES = {INK: "ink", MUTED: "muted", GRID: "grid", PAPER: "paper"}
_CLASSES |= {colour: f"m{index}" for index, colour in enumerate(_MODELS)}

_STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.linewidth": 0.8,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 11,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,  # names are a user's, in which dollar signs are no mathematics
    "xtick.color": MUTED,
    "xtick.labelsize": 11,
    "ytick.color": MUTED,
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


def axes_of(height: float, left: float, right: float, top: float, bottom: float) -> tuple["Figure", "Axes"]:
    """Makes a figure with axes, without pyplot, whose state is global; height and margins are in points."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH / 72, height / 72), facecolor="none")
    place = (left / _WIDTH, bottom / height, (_WIDTH - left - right) / _WIDTH, (height - top - bottom) / height)
    axes = figure.add_axes(place)
    axes.set_facecolor("none")
    return figure, axes


def look_of(index: int) -> tuple[str, str]:
    """Colour and marker of a model; a seventh model has the first one's colour with another marker."""
    return _MODELS[index % NUM_STYLES], _MARKERS[(index + index // NUM_STYLES) % NUM_STYLES]


def look_in_text(index: int) -> dict[str, Any]:
    """Class of the style sheet and glyph by which text beside a picture shows a model as `look_of` draws it."""
    return {"style": f"m{index % NUM_STYLES}", "glyph": GLYPHS[(index + index // NUM_STYLES) % NUM_STYLES]}


def draw_line(axes: "Axes", index: int, points: Sequence[Point], dot_size: float) -> None:
    """Draws a model's line through points, each with a dot that shows its text when pointed at."""
    colour, marker = look_of(index)
    x, values = [point.x for point in points], [point.value for point in points]
    axes.plot(x, values, color=colour, linewidth=1.8, linestyle=DASHES[index % NUM_STYLES], zorder=3)
    for number, point in enumerate(points):
        axes.plot([point.x], [point.value], color=colour, marker=marker, gid=f"{index}-{number}", **dot_of(dot_size))


def dot_of(size: float) -> dict[str, Any]:
    return {"markersize": size, "markeredgecolor": PAPER, "markeredgewidth": 0.9, "linestyle": "none", "zorder": 4}


# -- SVG ---------------------------------------------------------------------------------------------------------------

_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"


def texts_of_points(lines: Sequence[Sequence[Point | None]]) -> dict[str, str]:
    return {
        f"{number}-{index}": point.text
        for number, line in enumerate(lines)
        for index, point in enumerate(line)
        if point
    }


def drawn(figure: Any, texts: dict[str, str], name: str) -> str:
    import matplotlib.style

    file = io.BytesIO()
    salt = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]  # names within a page differ
    with warnings.catch_warnings(), matplotlib.style.context(["default", {**_STYLE, "svg.hashsalt": salt}]):
        warnings.filterwarnings("ignore", message="Glyph")  # of letters that its own font has not; a browser's has
        with_visible_texts(figure()).savefig(file, format="svg", metadata={"Date": None})
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
