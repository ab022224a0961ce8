"""Makes the page on cost, ``cost.md`` with ``cost.png``, from the records that the benchmarks left in ``cost.json``.

It runs nothing, so words and figures can be changed without measuring again.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from alum.core.measures.pass_counts import pass_counts
from alum.core.methods import METHODS
from benchmarks.growth import METHODS as GROWING
from benchmarks.growth import Cell
from benchmarks.pages import Page
from benchmarks.peers import PEERS
from benchmarks.places import DOCS
from benchmarks.profiling import TABLES
from benchmarks.tables import PROCESSOR, TIME, WORK, conditions, contenders_table, markdown_table, targets_table

SIZES = {
    "batch_size": "sentences in a batch",
    "length_tokens": "tokens in a sentence",
    "num_layers": "layers",
    "num_steps": "ascent steps K",
}


def measured_by_bench(record: Mapping[str, Any]) -> str:
    return conditions(record, "make bench")


# -- fine-tuning -------------------------------------------------------------------------------------------------------


def finetuning_tables(record: Mapping[str, Any]) -> str:
    blocks = [
        f"### {task['task']}: {task['padded_tokens_per_batch']:.0f} tokens in a batch of {record['batch_size']}, "
        f"{task['padding_share']:.0%} of them padding\n\n"
        f"{contenders_table(task['rows'], (*TIME, PROCESSOR, *WORK), PEERS)}\n\n\\* not alum's"
        for task in record["tasks"]
    ]
    return "\n\n".join(blocks)


def finetuning_targets(record: Mapping[str, Any]) -> str:
    return targets_table([each for task in record["tasks"] for each in task["targets"]])


def first_gradients(record: Mapping[str, Any]) -> str:
    megabytes = record["tasks"][0]["gradient_bytes_after_first_backward"] / 1e6
    return f"Those gradients take {megabytes:.0f} MB."


def parts_table(record: Mapping[str, Any]) -> str:
    task = record["tasks"][0]
    rows = [row for row in task["rows"] if row["contender"] in GROWING]
    parts = ("data", "clean", "adversary", "backward", "optimizer")
    cells = [(row["contender"], *(f"{row['seconds_by_part'].get(part, 0.0):.4f}" for part in parts)) for row in rows]
    return markdown_table([task["task"], *parts], cells)


def kinds_tables(record: Mapping[str, Any]) -> str:
    return "\n\n".join(map(kinds_table, record["tasks"]))


def kinds_table(task: Mapping[str, Any]) -> str:
    rows = [row for row in task["rows"] if row["contender"] in GROWING]
    floor = rows[0]["seconds_by_kind"]
    cells = [
        (kind, *(_milliseconds(row["seconds_by_kind"][kind], floor[kind]) for row in rows))
        for kind in floor
        if kind != TABLES
    ]
    sums = [sum(row["seconds_by_kind"].values()) - row["seconds_by_kind"][TABLES] for row in rows]
    cells.append(("sum of these", *(_milliseconds(seconds, sums[0]) for seconds in sums)))
    cells.append((TABLES, *(f"{1000 * row['seconds_by_kind'][TABLES]:.1f}" for row in rows)))
    return markdown_table([task["task"], *(row["contender"] for row in rows)], cells)


def _milliseconds(seconds: float, floor: float) -> str:
    return f"{1000 * seconds:.1f} ({seconds / floor:.2f})" if floor else f"{1000 * seconds:.1f}"


# -- growth ------------------------------------------------------------------------------------------------------------


def growth_sizes(_: Mapping[str, Any]) -> str:
    base = Cell()
    passes = ", ".join(f"{name} {pass_counts(METHODS[name]).in_standard_steps * 3:.0f}" for name in GROWING)
    return (
        f"From {base.batch_size} sentences of {base.length_tokens} tokens, {base.num_layers} layers and K = 1. "
        f"Passes of a step: {passes}, and 2 for each further ascent step."
    )


def fits_table(record: Mapping[str, Any]) -> str:
    seconds, memory = record["fits"]["seconds"], record["fits"]["bytes"]
    return markdown_table(
        ["fit over all cells", "for each unit", "without any", "explained", "median deviation"],
        [
            (
                "seconds over GFLOPs, counted by passes",
                f"{seconds['slope'] * 1e9:.4f} s",
                f"{seconds['intercept']:.3f} s",
                f"{seconds['r_squared']:.3f}",
                f"{seconds['median_deviation']:.1%}",
            ),
            (
                "bytes over live activations (graphs x tokens x layers x width)",
                f"{memory['slope']:.1f} B",
                f"{memory['intercept'] / 1e6:.0f} MB",
                f"{memory['r_squared']:.3f}",
                f"{memory['median_deviation']:.1%}",
            ),
        ],
    )


def growth_table(record: Mapping[str, Any]) -> str:
    return markdown_table(
        ["", "value", "method", "seconds", "processor seconds", "GFLOPs", "over the count", "memory above weights, MB"],
        [
            (
                SIZES[row["size"]],
                str(row[row["size"]]),
                row["method"],
                f"{row['seconds']:.3f}",
                f"{row['processor_seconds']:.3f}",
                f"{row['flops'] / 1e9:.1f}",
                f"{row['flops'] / row['flops_by_count']:.2f}",
                f"{(row['peak_bytes'] - row['held_bytes']) / 1e6:.0f}",
            )
            for row in record["rows"]
        ],
    )


def draw(record: Mapping[str, Any], folder: Path) -> None:
    if "growth" in record:
        draw_growth(record["growth"], folder / "cost.png")


def draw_growth(record: Mapping[str, Any], file: Path) -> None:
    sizes = list(dict.fromkeys(row["size"] for row in record["rows"]))
    figure, grid = plt.subplots(len(sizes) + 1, 2, figsize=(6.8, 2.7 * (len(sizes) + 1)), layout="constrained")
    axes = grid.T
    for column, size in enumerate(sizes):
        for color, method in enumerate(GROWING):
            rows = [row for row in record["rows"] if row["size"] == size and row["method"] == method]
            if rows:
                values = [row[size] for row in rows]
                memory = [(row["peak_bytes"] - row["held_bytes"]) / 1e6 for row in rows]
                axes[0, column].plot(
                    values, [row["seconds"] for row in rows], marker="o", color=f"C{color}", label=method
                )
                axes[1, column].plot(values, memory, marker="o", color=f"C{color}", label=method)
        for row, label in enumerate(("seconds a step", "memory above weights, MB")):
            ticks = sorted({cell[size] for cell in record["rows"] if cell["size"] == size})
            highest = max(float(max(line.get_ydata())) for line in axes[row, column].lines)
            axes[row, column].set(xlabel=SIZES[size], ylabel=label, ylim=(0, 1.1 * highest), xticks=ticks)
        axes[0, column].legend()
    rows, fitted = record["rows"], record["fits"]
    seconds, memory = ([row["seconds"] for row in rows], [row["peak_bytes"] - row["held_bytes"] for row in rows])
    _draw_fit(axes[0, -1], [row["flops_by_count"] / 1e9 for row in rows], seconds, fitted["seconds"], 1e9, 1.0)
    _draw_fit(axes[1, -1], [row["live_activations"] / 1e6 for row in rows], memory, fitted["bytes"], 1e6, 1e-6)
    axes[0, -1].set(xlabel="GFLOPs, counted by passes", ylabel="seconds a step")
    axes[1, -1].set(xlabel="live activations, millions", ylabel="memory above weights, MB")
    figure.savefig(file, dpi=100)
    plt.close(figure)


def _draw_fit(
    axis: Axes, x: Sequence[float], y: Sequence[float], line: Mapping[str, float], x_unit: float, y_unit: float
) -> None:
    axis.scatter(x, [value * y_unit for value in y], s=12)
    ends = (0.0, max(x))
    axis.plot(ends, [(line["intercept"] + line["slope"] * end * x_unit) * y_unit for end in ends], linewidth=1)


# -- compiled, and memory that is kept ---------------------------------------------------------------------------------


def compiled_table(record: Mapping[str, Any]) -> str:
    cells = [
        (
            row["method"],
            f"{row['plain']['seconds']:.3f}",
            f"{row['compiled']['seconds']:.3f}",
            f"{row['compiled']['ratio_of_medians']:.2f}",
            f"{row['compiled']['median_of_ratios']:.2f}",
        )
        for row in record["rows"]
    ]
    return markdown_table(["", "seconds", "compiled", "ratio", "in a round"], cells)


def allocator_command(record: Mapping[str, Any]) -> str:
    settings = " ".join(f"{name}={value}" for name, value in record["settings"].items())
    return f"    {settings} alum pretrain ..."


def allocator_table(record: Mapping[str, Any]) -> str:
    cells = [
        (
            row["case"],
            f"{row['usual']['processor_seconds']:.3f}",
            f"{row['keeping']['processor_seconds']:.3f}",
            f"{row['keeping']['processor_ratio']:.2f}",
            f"{row['keeping']['median_of_ratios']:.2f}",
            f"{row['usual']['resident_bytes'] / 1e6:.0f}",
            f"{row['keeping']['resident_bytes'] / 1e6:.0f}",
        )
        for row in record["rows"]
    ]
    header = [
        "", "processor seconds, usual", "keeping", "ratio", "ratio of times", "resident MB, usual", "keeping",
    ]  # fmt: skip
    return markdown_table(header, cells)


# -- the page ----------------------------------------------------------------------------------------------------------

# By benchmark, which is also the name of its record in cost.json.
PARTS: dict[str, dict[str, Callable[[Mapping[str, Any]], str]]] = {
    "finetuning": {
        "conditions": measured_by_bench,
        "contenders": finetuning_tables,
        "targets": finetuning_targets,
        "parts of a step": parts_table,
        "kinds of operations": kinds_tables,
        "first gradients": first_gradients,
    },
    "growth": {
        "sizes": growth_sizes,
        "conditions": measured_by_bench,
        "fits": fits_table,
        "cells": growth_table,
    },
    "compiled": {"conditions": measured_by_bench, "methods": compiled_table},
    "allocator": {"command": allocator_command, "conditions": measured_by_bench, "cases": allocator_table},
}


def parts(record: Mapping[str, Any]) -> dict[str, str]:
    """Of all benchmarks; those that have not run, as in a rehearsal of one of them, say so."""
    return {
        f"{benchmark}, {name}": make(record[benchmark]) if benchmark in record else "Not measured."
        for benchmark, makers in PARTS.items()
        for name, make in makers.items()
    }


PAGE = Page(DOCS / "benchmarks" / "cost.md", parts, draw)

if __name__ == "__main__":
    PAGE.command(__doc__)
