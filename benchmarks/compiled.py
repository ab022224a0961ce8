"""What ``torch_compile`` gains: the same steps compiled and not. ``make bench`` runs it with the others.

A BERT of MiniLM's shape with random weights, on random words without padding, compiled by PyTorch's default backend,
which needs a C++ compiler. Figures go into ``cost.json``, of which `cost_page` makes the page. ``--rehearse`` tries it
all with a tiny model.
"""

import argparse
import dataclasses
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from growth import METHODS, REHEARSAL, Cell
from harness import SteppedTraining, seconds_in_turns, timing
from records import Record, conditions, markdown_table, progress, write_part

ROOT = Path(__file__).resolve().parent.parent
WARM_STEPS = 4


def measured(cells: Sequence[Cell], max_seconds: float) -> list[dict[str, Any]]:
    """A row for each method: seconds per step of both ways, which take turns."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        trainers = {
            (cell.method, compiled): cell.trainer(folder, torch_compile=compiled)
            for cell in cells
            for compiled in (False, True)
        }
        steps = {way: stack.enter_context(SteppedTraining(trainer)).step for way, trainer in trainers.items()}
        progress("compiled or not: first steps")
        for _ in range(WARM_STEPS):  # the first one in each thread has the others compile anew
            for step in steps.values():
                step()
        progress(f"compiled or not: {max_seconds:.0f} seconds")
        turns = seconds_in_turns(steps, max_seconds, steps_per_turn=1)
    return [
        {
            "method": cell.method,
            "plain": timing(turns[cell.method, False], turns[cell.method, False]),
            "compiled": timing(turns[cell.method, True], turns[cell.method, False]),
        }
        for cell in cells
    ]


# -- its part of the page ----------------------------------------------------------------------------------------------


def blocks(record: Mapping[str, Any]) -> list[str]:
    base = Cell()
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
    header = ["", "seconds", "compiled", "ratio", "in a round"]
    return [
        "## Compiled",
        f"The same BERT, {base.batch_size} sentences of {base.length_tokens} tokens, with `torch_compile` and without. "
        "All passes run compiled; the hooks that record x and add δ run as they stand, between "
        "compiled parts. Later steps compile nothing anew where lengths do not change, and the weights come to those "
        "of training that is not compiled (`tests/training/test_trainer_compiled.py`, with the backend `aot_eager`; "
        "the default one, which is timed here, draws other dropout masks, but the same ones in all passes of a step). "
        "Most of a step's time is in matrix products, which compiling leaves as they are.",
        conditions(record, "make bench"),
        markdown_table(header, cells),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output_dir", type=Path, default=ROOT / "docs" / "benchmarks", help="folder for the figures")
    parser.add_argument("--rehearse", action="store_true", help="a tiny model and few steps")
    given = parser.parse_args()
    if not any(map(shutil.which, ("g++", "c++", "clang++"))):
        progress("compiled: left out, since there is no C++ compiler")
        return
    record, base = Record(), REHEARSAL.base if given.rehearse else Cell()
    cells = [dataclasses.replace(base, method=method) for method in METHODS]
    rows = measured(cells[-1:] if given.rehearse else cells, 0.0 if given.rehearse else 90.0)
    write_part(given.output_dir / "cost.json", "compiled", record.with_results(rows=rows))


if __name__ == "__main__":
    main()
