"""Measures the cells of some ways to train, in one process or several, and appends a line for each to a file.

Cells that the file has already are left out, so that what was stopped can be gone on with.
"""

import argparse
import gc
import json
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.distributed

from benchmarks.cells.cell import ENGINES, Cell, cells, measured, rehearsed
from benchmarks.records import progress


def records_in(file: Path) -> list[dict[str, Any]]:
    """Records of the cells that a file has."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []


def drop_cut_line(file: Path) -> None:
    """Takes away the last line where it was not written to its end."""
    if file.is_file():
        text = file.read_text(encoding="utf-8")
        file.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")


def cell_of(record: dict[str, Any]) -> Cell:
    return Cell(record["engine"], record["method"], record["kind"], record["precision"])


def measure(missing: list[Cell], file: Path) -> None:
    is_first = int(os.environ.get("RANK", 0)) == 0
    with tempfile.TemporaryDirectory() as folder:
        for cell in missing:
            torch.compiler.reset()  # or what was compiled for other cells' models would fill its cache
            try:
                record = measured(cell, folder)
            except Exception as error:  # a defect, to stand in the page
                record = {**vars(cell), "failed": f"{type(error).__name__}: {error}"}
            if is_first:
                with file.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(_rounded(record)) + "\n")


def _rounded(record: dict[str, Any]) -> dict[str, Any]:
    """Figures of three digits."""
    return {name: float(f"{value:.3g}") if isinstance(value, float) else value for name, value in record.items()}


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("file", type=Path)
    flags.add_argument("engines", choices=ENGINES, nargs="+")
    flags.add_argument("--rehearse", action="store_true")
    given = flags.parse_args()
    torch.set_num_threads(1)
    gc.freeze()  # the Trainer collects garbage after each training: looking through all modules took longest
    logging.disable(logging.WARNING)  # of what rounding hides in bf16, once a cell
    known = {cell_of(record) for record in records_in(given.file)}
    wanted = [cell for engine in given.engines for cell in (rehearsed(engine) if given.rehearse else cells(engine))]
    missing = [cell for cell in wanted if cell not in known]
    if "RANK" in os.environ:  # the first process may be writing before another has read
        torch.distributed.init_process_group("gloo")
        agreed = [missing]
        torch.distributed.broadcast_object_list(agreed)
        (missing,) = agreed
    progress(f"{', '.join(given.engines)}: {len(missing)} cells")
    measure(missing, given.file)


if __name__ == "__main__":
    main()
