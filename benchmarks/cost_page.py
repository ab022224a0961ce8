"""The page on cost, ``cost.md`` with ``cost.png``, from the records that the benchmarks left in ``cost.json``.

It runs nothing, so words and figures can be changed without measuring again.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import allocator
import compiled
import matplotlib.pyplot as plt
from growth import METHODS as GROWING
from growth import Cell
from matplotlib.axes import Axes
from peers import PEERS
from profiling import TABLES
from records import conditions, gain_of, markdown_table, short, targets_table

from alum.core.methods import METHODS

ROOT = Path(__file__).resolve().parent.parent
SIZES = {
    "batch_size": "sentences in a batch",
    "length_tokens": "tokens in a sentence",
    "num_layers": "layers",
    "num_steps": "ascent steps K",
}


# -- fine-tuning -------------------------------------------------------------------------------------------------------


def finetuning_blocks(record: Mapping[str, Any]) -> list[str]:
    blocks = [
        "## Fine-tuning",
        "One optimisation step of MiniLM-L6 (22.7 million parameters, fp32, dropout 0.1) on real rows, batches of "
        f"{record['batch_size']} grouped by length and padded to their longest, the same ones in the same order for "
        "all. Hugging Face is its `Trainer`; below it stand alum's methods in `AlumTrainer`, with nothing logged; then "
        "others' ways, each in a Trainer's loop: three papers in our plainest words (`benchmarks/peers.py`), and two "
        "packages as their READMEs say. The adversarial gain is the divergence at the perturbation found over that at "
        "random ones of the same length, at the same slightly fine-tuned model for all and without dropout; none is "
        "given where the divergence is below 1e-9, about the rounding of fp32. It tells an adversary from noise; how "
        "strong one is, the divergence tells, which grows with the radius that each has by its own defaults.",
        conditions(record, "make bench"),
    ]
    for task in record["tasks"]:
        blocks += [
            f"### {task['task']}: {task['padded_tokens_per_batch']:.0f} tokens in a batch, "
            f"{task['padding_share']:.0%} of them padding",
            finetuning_table(task["rows"]),
        ]
    blocks += [
        "Seconds are medians (with quartiles) over the rounds; the time ratios are of the medians, the median of the "
        "ratios within rounds, and that of processor time, which other programs disturb least. Peak memory is what "
        "PyTorch has allocated at the worst moment, weights and Adam's state included. FLOPs are those of matrix "
        "products. All ratios are to Hugging Face's.",
        "### Targets",
        targets_table([each for task in record["tasks"] for each in task["targets"]]),
        "### Where it goes",
        "Mean seconds of a step by part, of all rounds. `clean` is the first pass, in one-pass methods with its "
        "backward pass down to what is perturbed; `adversary` what finds δ and the pass at it; `backward` the backward "
        "pass that ends the step; `data` the batch. Clipping, scheduler and callbacks are in none.",
        parts_table(record["tasks"][0]),
        "And by the kind of operation, in milliseconds (in brackets, over those of the first column): medians over a "
        "few early steps, which have the longest batches, under PyTorch's profiler. In small batches some operations "
        "cost as much in every method: that is why adversarial steps cost less than their passes. Passes share dropout "
        "masks by drawing them again. The sum leaves out the gradients of embedding tables, one as large as its table "
        "in a step: whether the heap has room for it or must ask the system for new pages, which takes ten times as "
        "long, is luck (see [memory that is kept](#memory-that-is-kept)), and falls on one contender or another.",
        *map(kinds_table, record["tasks"]),
        "A one-pass step holds the gradients of its first backward pass, those of all weights above the perturbed "
        f"embeddings ({record['tasks'][0]['gradient_bytes_after_first_backward'] / 1e6:.0f} MB), while its second "
        "graph grows; a standard step has its gradients when its graph is going. That is what it takes above standard "
        "training where activations outweigh gradients, however large the batch: a good part of a small one, little of "
        "a large one. In the smallest batches the gradients are the peak of both.",
    ]
    return blocks


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


def parts_table(task: Mapping[str, Any]) -> str:
    rows = [row for row in task["rows"] if row["contender"] in GROWING]
    parts = ("data", "clean", "adversary", "backward", "optimizer")
    cells = [(row["contender"], *(f"{row['seconds_by_part'].get(part, 0.0):.4f}" for part in parts)) for row in rows]
    return markdown_table([task["task"], *parts], cells)


def finetuning_table(rows: Sequence[Mapping[str, Any]]) -> str:
    floor = rows[0]
    header = [
        "", "seconds", "quartiles", "ratio", "in a round", "processor", "peak memory, MB", "ratio", "GFLOPs", "ratio",
        "gain", "divergence",
    ]  # fmt: skip
    cells = [
        (
            f"{row['contender']} *" if row["contender"] in PEERS else row["contender"],
            f"{row['seconds']:.3f}",
            f"{row['seconds_first_quartile']:.3f} to {row['seconds_third_quartile']:.3f}",
            f"{row['ratio_of_medians']:.2f}",
            f"{row['median_of_ratios']:.2f}",
            f"{row['processor_ratio']:.2f}",
            f"{row['peak_bytes'] / 1e6:.0f}",
            f"{row['peak_bytes'] / floor['peak_bytes']:.2f}",
            f"{row['flops'] / 1e9:.1f}",
            f"{row['flops'] / floor['flops']:.2f}",
            gain_of(row),
            short(row["divergence"]),
        )
        for row in rows
    ]
    return markdown_table(header, cells) + "\n\n\\* not alum's"


# -- growth ------------------------------------------------------------------------------------------------------------


def growth_blocks(record: Mapping[str, Any]) -> list[str]:
    base, seconds, memory = Cell(), record["fits"]["seconds"], record["fits"]["bytes"]
    passes = ", ".join(f"{name} {METHODS[name].cost_in_standard_steps * 3:.0f}" for name in GROWING)
    return [
        "## How it grows",
        f"A BERT of MiniLM's shape, {base.batch_size} sentences of {base.length_tokens} tokens, {base.num_layers} "
        "layers and K = 1, and each of these changed by itself. In units of a forward pass, where a backward pass "
        f"counts two, a step costs: {passes}, and each further ascent step 2.",
        "![time and peak memory over batch, length, layers and ascent steps](cost.png)",
        conditions(record, "make bench"),
        markdown_table(
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
        ),
        "What remains without any operations is the optimizer's pass over all weights and the embeddings' gradient, "
        "once a step in every method; so an adversary costs less than its passes where batches are small.",
        growth_table(record["rows"]),
    ]


def growth_table(rows: Sequence[Mapping[str, Any]]) -> str:
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
            for row in rows
        ],
    )


def draw_growth(record: Mapping[str, Any], file: Path) -> None:
    sizes = list(dict.fromkeys(row["size"] for row in record["rows"]))
    figure, axes = plt.subplots(2, len(sizes) + 1, figsize=(3.2 * (len(sizes) + 1), 6), layout="constrained")
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
        for row, label in enumerate(("seconds a step", "peak memory above weights, MB")):
            ticks = sorted({cell[size] for cell in record["rows"] if cell["size"] == size})
            highest = max(float(max(line.get_ydata())) for line in axes[row, column].lines)
            axes[row, column].set(xlabel=SIZES[size], ylabel=label, ylim=(0, 1.1 * highest), xticks=ticks)
        axes[0, column].legend()
    rows, fitted = record["rows"], record["fits"]
    seconds, memory = ([row["seconds"] for row in rows], [row["peak_bytes"] - row["held_bytes"] for row in rows])
    _draw_fit(axes[0, -1], [row["flops_by_count"] / 1e9 for row in rows], seconds, fitted["seconds"], 1e9, 1.0)
    _draw_fit(axes[1, -1], [row["live_activations"] / 1e6 for row in rows], memory, fitted["bytes"], 1e6, 1e-6)
    axes[0, -1].set(xlabel="GFLOPs, counted by passes", ylabel="seconds a step")
    axes[1, -1].set(xlabel="live activations, millions", ylabel="peak memory above weights, MB")
    figure.savefig(file, dpi=100)
    plt.close(figure)


def _draw_fit(
    axis: Axes, x: Sequence[float], y: Sequence[float], line: Mapping[str, float], x_unit: float, y_unit: float
) -> None:
    axis.scatter(x, [value * y_unit for value in y], s=12)
    ends = (0.0, max(x))
    axis.plot(ends, [(line["intercept"] + line["slope"] * end * x_unit) * y_unit for end in ends], linewidth=1)


# -- the page ----------------------------------------------------------------------------------------------------------

GPU = (
    "## On a GPU",
    "Nothing here was measured on one; this is what follows from how it works. The counts of passes and of live "
    "graphs are the same, so large batches should come to the same ratios: 2 and 2.67 standard steps. In small batches "
    "the time of a step is that of starting its kernels; an adversarial step starts two to three times as many, so the "
    "ratio stays about the same while the device idles, and `torch_compile` should help. The optimizer's pass over "
    "the weights, a good part of a small step here, is a small one there, which takes away what makes adversarial "
    "steps cheaper than their passes. Half precision makes matrix products faster, but not the perturbation, which "
    "stays in fp32 and is bound by memory bandwidth: a few reads of an array as large as one layer's output. One check "
    "a step, whether the gradient is finite, waits for the device.",
)


def page(parts: Mapping[str, Any]) -> str:
    """Markdown of what was measured, from the records alone."""
    blocks = [
        "# What adversarial training costs",
        "Made by `benchmarks/cost_page.py` from `cost.json`. Pre-training has [a page of its own](pretraining.md).",
    ]
    if "finetuning" in parts:
        blocks += finetuning_blocks(parts["finetuning"])
    if "growth" in parts:
        blocks += growth_blocks(parts["growth"])
    if "compiled" in parts:
        blocks += compiled.blocks(parts["compiled"])
    if "allocator" in parts:
        blocks += allocator.blocks(parts["allocator"])
    return "\n\n".join([*blocks, *GPU]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output_dir", type=Path, default=ROOT / "docs" / "benchmarks", help="folder of cost.json")
    folder = parser.parse_args().output_dir
    parts = json.loads((folder / "cost.json").read_text(encoding="utf-8"))
    if "growth" in parts:
        draw_growth(parts["growth"], folder / "cost.png")
    (folder / "cost.md").write_text(page(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
