"""Plan of a run as a table for the terminal."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from alum.data.visible_console import VisibleConsole
from alum.reports.tables import show_table

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

GIGABYTE = 1e9


def show_plan(result: "DataclassInstance", console: Console | None = None) -> None:
    """Prints a row a method, what each takes of a device, and what is the same for all."""
    console, record = console or VisibleConsole(), asdict(result)
    has_hours = record["methods"][0]["hours"] is not None
    header = ["method", "cost", "TFLOPs", "state", "step", "in all", "seconds", *(["hours"] if has_hours else [])]
    rows = [_row(one, has_hours) for one in record["methods"]]
    devices = f"{record['num_devices']} × {record['device']}"
    title = f"{record['model']}, {record['head']}, {record['num_parameters'] / 1e6:,.1f} million weights, on {devices}"
    title += ": a step's cost in standard ones, memory of a device in GB"
    show_table(title, header, rows, console)
    for line in _lines(record):
        console.print(Text(line))


def _row(one: Mapping[str, Any], has_hours: bool) -> list[str]:
    state, step = one["state_bytes"] / GIGABYTE, one["step_bytes"] / GIGABYTE
    cells = [
        one["method"],
        f"{one['in_standard_steps']:.2f}",
        f"{one['step_flops'] / 1e12:.3g}",
        f"{state:.1f}",
        f"{step:.1f}",
        f"{state + step:.1f}" + ("" if one["fits"] else " !"),
        f"{one['step_seconds']:.3g}",
    ]
    return [*cells, *([f"{one['hours']:,.1f}"] if has_hours else [])]


def _lines(record: Mapping[str, Any]) -> list[str]:
    lines = [
        f"A step reads {record['tokens_per_step']:,} tokens. At the same cost standard training takes as many steps "
        "for each of a method's as its cost says.",
        f"Files: the model {record['model_bytes'] / GIGABYTE:.2f} GB, a checkpoint to go on from "
        f"{record['checkpoint_bytes'] / GIGABYTE:.2f} GB.",
    ]
    too_large = [one["method"] for one in record["methods"] if not one["fits"]]
    if too_large:
        lines.append(
            f"! More than the {record['device_bytes'] / GIGABYTE:.0f} GB of the device: {', '.join(too_large)}. Take "
            "smaller batches, or spread the model over devices (strategy fsdp); in training adv_clean_side first has "
            "one graph less."
        )
    return lines
