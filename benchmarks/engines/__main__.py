"""Trains two steps by every method, at every place, in every stage, in several processes, beside the same in one.

``make engines`` runs it: in about 4 minutes on two idle cores, into ``docs/benchmarks/engines.json``, of which `page`
makes ``engines.md``. ``--rehearse`` takes fine-tuning alone, perturbed at words, by two ways to train.
"""

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from alum.core.methods import METHODS
from benchmarks.engines.cell import ENGINES, ONE, Cell, cells
from benchmarks.engines.page import PAGE
from benchmarks.places import ROOT
from benchmarks.records import Record, parser

_REHEARSED = (ONE, "DDP ×2", "loop, FSDP2 ×2")


def measure(engine: str, file: Path, is_rehearsed: bool) -> None:
    """In as many processes as the engine has."""
    worker = ("-m", "benchmarks.engines.worker", engine, str(file.resolve()), *(["--rehearse"] if is_rehearsed else []))
    command = [sys.executable, *ENGINES[engine].launcher, *worker]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{engine}: {' '.join(command)} ended with {done.returncode}:\n{done.stderr[-3000:]}")


def relative_difference(found: Tensor, expected: Tensor) -> float:
    """‖Δ - Δ'‖ / ‖Δ'‖ of changes of the weights; infinite where one is not finite."""
    difference = float((found - expected).double().norm() / expected.double().norm())
    return float(f"{difference:.2g}") if math.isfinite(difference) else math.inf


def compared(engine: str, folder: Path, is_rehearsed: bool) -> list[dict[str, Any]]:
    """Record of each cell: how far from one process it is, or the words with which it was refused or failed."""
    alone, changes = (load_file(folder / f"{_number(name)}.safetensors") for name in (ONE, engine))
    words = json.loads((folder / f"{_number(engine)}.json").read_text(encoding="utf-8"))
    found = []
    for cell in cells(engine, is_rehearsed):
        key = str(cell)
        result = words.get(key) or {"difference": relative_difference(changes[key], _known(alone, cell))}
        found.append({"engine": engine, **vars(cell), **result})
    return found


def _known(alone: dict[str, Tensor], cell: Cell) -> Tensor:
    if str(cell) not in alone:
        sys.exit(f"{cell} was refused or failed in one process, and trained in several.")
    return alone[str(cell)]


def _number(engine: str) -> int:
    return list(ENGINES).index(engine)


def main() -> None:
    given = parser(__doc__).parse_args()
    record, found = Record(), []
    engines = _REHEARSED if given.rehearse else tuple(ENGINES)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for engine in engines:
            measure(engine, folder / f"{_number(engine)}.safetensors", given.rehearse)
            found += compared(engine, folder, given.rehearse)
    print(PAGE.write_with(record.with_results(methods=list(METHODS), cells=found), given.output_dir))


if __name__ == "__main__":
    main()
