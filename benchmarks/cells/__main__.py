"""Trains a step by every method on every kind of task, in every precision and way to train, beside the plain step.

``make cells`` runs it: in about 8 minutes on two idle cores, into ``docs/benchmarks/cells.json``, of which `page`
makes ``cells.md``. Where it was stopped it goes on, with what stands in ``cells.jsonl``. ``--rehearse`` takes a few
cells.
"""

import itertools
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.cells.cell import ENGINES
from benchmarks.cells.page import PAGE
from benchmarks.cells.refusals import refusals
from benchmarks.cells.worker import drop_cut_line, records_in
from benchmarks.places import ROOT
from benchmarks.records import Record, parser

_TWO_PROCESSES = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")


def measure(engines: Iterable[str], is_of_two: bool, file: Path, rehearse: bool) -> None:
    """In a process of their own, or two."""
    launcher = _TWO_PROCESSES if is_of_two else ()
    worker = ("-m", "benchmarks.cells.worker", str(file.resolve()), *engines, *(["--rehearse"] if rehearse else []))
    subprocess.run([sys.executable, *launcher, *worker], cwd=ROOT, check=True)


def main() -> None:
    given = parser(__doc__).parse_args()
    record, file = Record(), given.output_dir / "cells.jsonl"
    given.output_dir.mkdir(parents=True, exist_ok=True)
    drop_cut_line(file)
    for is_of_two, engines in itertools.groupby(ENGINES, lambda engine: engine == "two processes"):
        measure(engines, is_of_two, file, given.rehearse)
    print(PAGE.write_with(record.with_results(cells=records_in(file), refusals=refusals()), given.output_dir))
    file.unlink()


if __name__ == "__main__":
    main()
