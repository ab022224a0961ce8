"""Pictures of matplotlib, an extra, in one style, written whole or not at all."""

import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from alum.data.writing import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)

_STYLE = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": "medium",
    "font.size": 9,
    "grid.color": "#00000014",
    "legend.framealpha": 0.85,
}


def write_picture(path: Path, figure: Callable[[], "Figure"]) -> Path | None:
    """Writes a picture as PNG and returns its path; None, with a warning, where matplotlib is not installed."""
    try:
        import matplotlib.style
    except ImportError:
        logger.warning("%s is not drawn, since matplotlib is not installed: pip install 'alum[plots]'.", path.name)
        return None
    picture = io.BytesIO()
    with matplotlib.style.context(["default", _STYLE]):  # whatever the user's own settings are
        figure().savefig(picture, format="png", dpi=120)
    write_whole(path, picture.getvalue())
    return path
