"""Table of training methods for the terminal: each row's settings, cost and source."""

from rich.console import Console

from alum.core.measures.pass_counts import pass_counts
from alum.core.method_settings import Method
from alum.core.methods import METHODS, SETTINGS
from alum.data.visible_console import VisibleConsole
from alum.reports.numbers import MISSING
from alum.reports.tables import show_in_parts, show_table


def show_methods(console: Console | None = None) -> None:
    """Prints the value of each setting of each method, a column a method, as many beside each other as fit."""
    console = console or VisibleConsole()
    methods = list(METHODS.values())
    rows = [[f"adv_{name}", *(_value(method, name) for method in methods)] for name in SETTINGS]
    rows.append(["cost in steps", *(f"{pass_counts(method).in_standard_steps:.3g}" for method in methods)])
    title = f"Settings of methods; {MISSING}: without effect there"
    header = ("setting", *(method.name for method in methods))
    show_in_parts((title, "The same of further methods"), header, rows, console, 1, num_text_columns=len(header))
    sources = [
        [method.name, f"{method.source}." + (f" Differs: {method.differences}." if method.differences else "")]
        for method in methods
    ]
    show_table("Sources, and what differs from them", ("method", "source"), sources, console, num_text_columns=2)


def _value(method: Method, name: str) -> str:
    if name in method.idle_settings():
        return MISSING
    value = getattr(method, name)
    return f"{value:.3g}" if isinstance(value, float) else str(value)
