"""Tables for the terminal, from records."""

from collections.abc import Mapping, Sequence

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
    """Prints a table: columns of text first, then numbers to the right; text that does not fit goes on below."""
    table = Table(title=escape(title), title_justify="left", title_style="bold", header_style="bold")
    for index, name in enumerate(header):
        is_text = index < num_text_columns
        table.add_column(
            escape(name), justify="left" if is_text else "right", no_wrap=not is_text, overflow="fold", min_width=5
        )
    for row in rows:
        table.add_row(*map(escape, row))
    (console or Console()).print(table)


_RATES = ("accuracy", "precision", "recall", "f1", "exact_match")


def metric_text(name: str, value: float) -> str:
    """A metric as people read it: rates in percent, losses and gains as they are.

    >>> metric_text("token_accuracy", 0.8625), metric_text("loss", 0.5)
    ('86.2 %', '0.500')
    """
    if name.startswith(_RATES) or name.endswith(_RATES):  # f1_macro, token_accuracy
        return f"{100 * value:.1f} %"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.0f}"


def metrics_rows(metrics: Mapping[str, Mapping[str, float]]) -> list[list[str]]:
    """Rows of (suite, metric, value) from metrics by suite."""
    return [
        [suite, name, metric_text(name, value)] for suite, values in metrics.items() for name, value in values.items()
    ]
