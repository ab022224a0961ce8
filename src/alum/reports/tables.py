"""Tables for the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table


def show_table(
    title: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    console: Console | None = None,
    num_text_columns: int = 1,
) -> None:
    """Prints a table: columns of text, wrapped where they do not fit, and then right-aligned columns of numbers."""
    table = Table(title=escape(title), title_justify="left", title_style="bold", header_style="bold")
    for index, name in enumerate(header):
        is_text = index < num_text_columns
        table.add_column(
            escape(name), justify="left" if is_text else "right", no_wrap=not is_text, overflow="fold", min_width=5
        )
    for row in rows:
        table.add_row(*map(escape, row))
    (console or Console()).print(table)
