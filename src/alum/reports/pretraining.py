"""Result of a pre-training for the terminal: scores on each text before and after, and what the adversary gained."""

from collections.abc import Mapping
from typing import Any

from alum.data.visible_console import VisibleConsole
from alum.data.visible_text import counted
from alum.reports.numbers import gain_rows, value_text
from alum.reports.tables import show_paragraph, show_table


def show_pretraining(result: Mapping[str, Any]) -> None:
    """Prints a table of scores, and a paragraph of the adversarial gains where there are any."""
    console = VisibleConsole()
    rows = [
        [name, metric, value_text(metric, result["metrics_before"][name][metric]), value_text(metric, value)]
        for name, scores in result["metrics"].items()
        for metric, value in scores.items()
        if metric != "num_tokens"
    ]
    steps = counted(result["num_steps"], "step")
    title = f"{result['base_model'] or result['architecture']}, {result['method']}, {steps}"
    if result["tokens_per_second"]:
        title += f", {result['tokens_per_second']:,.0f} tokens a second"
    show_table(title, ("text", "metric", "before", "after"), rows, console, num_text_columns=2)
    if gains := gain_rows(result):
        show_paragraph("Training", dict(gains), console)
