"""Pictures of matplotlib in one style, written whole or not at all; it is loaded where the first one is drawn."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from alum.data.visible_text import visible
from alum.data.writing import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": "medium",
    "font.size": 9,
    "grid.color": "#00000014",
    "legend.framealpha": 0.85,
}


def with_visible_texts(figure: "Figure") -> "Figure":
    """Makes what a picture is labelled with `visible`, which fonts and SVG have no place for otherwise."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_text(visible(text.get_text()))
    return figure


def write_picture(path: Path, figure: Callable[[], "Figure"]) -> Path:
    """Writes a picture as PNG and returns its path."""
    import matplotlib.style

    picture = io.BytesIO()
    with matplotlib.style.context(["default", _STYLE]):  # whatever the user's own settings are
        with_visible_texts(figure()).savefig(picture, format="png", dpi=120)
    write_whole(path, picture.getvalue())
    return path
