"""Table of training methods for the terminal: each row's settings, cost and source."""

from collections.abc import Sequence
from dataclasses import fields

from rich.console import Console

from alum.core.methods import METHODS, Method
from alum.reports.numbers import MISSING
from alum.reports.tables import show_table

_NOT_SETTINGS = ("name", "source", "differences")
_CELL_WIDTH = 16


def show_methods(console: Console | None = None) -> None:
    """Prints the value of each setting of each method, a column a method, as many beside each other as fit."""
    console = console or Console()
    settings = [field.name for field in fields(Method) if field.name not in _NOT_SETTINGS]
    at_once = max((console.width - 22) // _CELL_WIDTH, 1)
    rows = list(METHODS.values())
    for start in range(0, len(rows), at_once):
        _show(rows[start : start + at_once], settings, console)
    sources = [[method.name, f"{method.source}. {method.differences}".rstrip(". ") + "."] for method in rows]
    show_table("Sources, and what differs from them", ("method", "source"), sources, console, num_text_columns=2)


def _show(methods: Sequence[Method], settings: Sequence[str], console: Console) -> None:
    lines = [[f"adv_{name}", *(_value(method, name) for method in methods)] for name in settings]
    lines.append(["cost in steps", *(f"{method.cost_in_standard_steps:.3g}" for method in methods)])
    title = f"Settings of methods; {MISSING}: without effect there"
    show_table(title, ("setting", *(method.name for method in methods)), lines, console, 1 + len(methods))


def _value(method: Method, name: str) -> str:
    if name in method.idle_settings():
        return MISSING
    value = getattr(method, name)
    return f"{value:.3g}" if isinstance(value, float) else str(value)
