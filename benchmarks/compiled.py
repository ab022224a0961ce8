"""What ``torch_compile`` gains: the same steps compiled and not. ``make bench`` runs it with the others.

A BERT of MiniLM's shape with random weights, on random words without padding, compiled by PyTorch's default backend,
which needs a C++ compiler. Figures go into ``cost.json``, of which `cost_page` makes the page. ``--rehearse`` tries it
all with a tiny model.
"""

import argparse
import dataclasses
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from growth import METHODS, REHEARSAL, Cell
from harness import SteppedTraining, seconds_in_turns, timing
from records import Record, progress, write_part

ROOT = Path(__file__).resolve().parent.parent
WARM_STEPS = 4  # in which everything is compiled


def measured(cells: Sequence[Cell], max_seconds: float) -> list[dict[str, Any]]:
    """A row for each method: seconds per step of both ways, which take turns, and what compiling took."""
    steps, seconds_to_compile = {}, {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for cell in cells:
            for compiled in (False, True):
                training = stack.enter_context(SteppedTraining(cell.trainer(folder, torch_compile=compiled)))
                start = time.perf_counter()
                for _ in range(WARM_STEPS):
                    training.step()
                seconds_to_compile[cell.method] = time.perf_counter() - start
                steps[cell.method, compiled] = training.step
        progress(f"compiled or not: {max_seconds:.0f} seconds")
        turns = seconds_in_turns(steps, max_seconds, steps_per_turn=1)
    return [
        {
            "method": cell.method,
            "plain": timing(turns[cell.method, False], turns[cell.method, False]),
            "compiled": timing(turns[cell.method, True], turns[cell.method, False]),
            "first_steps_seconds": seconds_to_compile[cell.method],
        }
        for cell in cells
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
    write_part(given.output_dir / "cost.json", "compiled", record.with_results(rows=rows, warm_steps=WARM_STEPS))


if __name__ == "__main__":
    main()
