"""What ``torch_compile`` gains: the same steps compiled and not. ``make bench`` runs it with the others.

A BERT of MiniLM's shape with random weights, on random words without padding, compiled by PyTorch's default backend,
which needs a C++ compiler. Figures go into ``cost.json``, of which `cost_page` makes the page. ``--rehearse`` tries it
all with a tiny model.
"""

import dataclasses
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from benchmarks.growth import METHODS, REHEARSAL, Cell
from benchmarks.harness import SteppedTraining, seconds_in_turns, timing
from benchmarks.records import Record, parser, progress, write_part

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


def main() -> None:
    given = parser(__doc__).parse_args()
    if not any(map(shutil.which, ("g++", "c++", "clang++"))):
        progress("compiled: left out, since there is no C++ compiler")
        return
    record, base = Record(), REHEARSAL.base if given.rehearse else Cell()
    cells = [dataclasses.replace(base, method=method) for method in METHODS]
    rows = measured(cells[-1:] if given.rehearse else cells, 0.0 if given.rehearse else 90.0)
    write_part(given.output_dir, "compiled", record.with_results(rows=rows))


if __name__ == "__main__":
    main()
