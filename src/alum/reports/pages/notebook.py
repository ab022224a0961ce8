"""Pages and tables inside a notebook, apart from all else in it, and the terminal's tables elsewhere."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from markupsafe import Markup

_HEIGHT = 720  # pixels; the page scrolls within


def inline_page(page: str, title: str) -> str:
    """Puts a whole page into a frame, as HTML for a notebook.

    The frame is another origin: nothing in it can read or change the notebook, whatever stands in its texts, and the
    page's Content-Security-Policy goes on to hold. Its style sheet touches nothing outside.
    """
    head, rest = page.split("<head>", 1)
    # Links to a place in the page would otherwise be to one in the notebook.
    page = f'{head}<head><base href="about:srcdoc">{rest}'
    frame = '<iframe srcdoc="{}" title="{}" sandbox="{}" width="100%" height="{}" frameborder="0"></iframe>'
    return str(Markup(frame).format(page, title, "allow-scripts allow-popups", _HEIGHT))


def inline_table(title: str, rows: Mapping[str, Any]) -> str:
    """Makes a table of two columns, names and values, as HTML for a notebook; all text in it is escaped."""
    lines = Markup("").join(
        Markup('<tr><th scope="row">{}</th><td>{}</td></tr>').format(name, value) for name, value in rows.items()
    )
    return str(Markup("<table><caption>{}</caption>{}</table>").format(title, lines))


def show(result: Any, in_terminal: Callable[[], None]) -> None:
    """Shows a result in the notebook that runs this, by its ``_repr_html_``; where none does, in the terminal."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        in_terminal()
        return
    from IPython.display import display

    display(result)
