"""Finished cells of a study as small files in ``docs``: any machine goes on with it, and nobody's texts are in them.

python -m studies.kept_cells restore studies/text.yaml runs/study-text
python -m studies.kept_cells keep studies/text.yaml runs/study-text

A cell is its record, the validation scores on its way, and the scores of its rows, in fp32: all that a study's page is
made of. Cells of fine-tunings whose metrics are means over rows are kept; others need the rows themselves.
"""

import argparse
import base64
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alum.core.errors import InputError
from alum.data.writing import write_text
from alum.stages.evaluation.measurements import ROWS
from alum.stages.runs.folder import METRICS
from alum.stages.study.cells.cell_run import MEASURED, MODEL
from alum.stages.study.cells.ledger import CELL, CELLS
from alum.stages.study.reading.study_file import read_study
from alum.stages.study.run import STUDY_FILE
from benchmarks.places import DOCS


def keep(runs: Path, kept: Path) -> int:
    """Writes each finished cell of a study's folder to a file of its own, unless it is there; how many are written."""
    kept.mkdir(parents=True, exist_ok=True)
    new = [record for record in runs.glob(f"{CELLS}/*/{CELL}") if not _kept_file(kept, record.parent).is_file()]
    for record in sorted(new):
        write_text(_kept_file(kept, record.parent), json.dumps(_kept(record.parent), separators=(",", ":")) + "\n")
    return len(new)


def restore(kept: Path, file: Path, runs: Path) -> int:
    """Brings kept cells back to a study's folder, which is made, unless they are there; how many are brought."""
    if not (runs / STUDY_FILE).is_file():
        runs.mkdir(parents=True, exist_ok=True)
        write_text(runs / STUDY_FILE, read_study(file).written())
    new = [
        (runs / CELLS / one.stem, one) for one in kept.glob("*.json") if not (runs / CELLS / one.stem / CELL).is_file()
    ]
    for cell, one in new:
        found = json.loads(one.read_text(encoding="utf-8"))
        _write_lines(cell / METRICS, found["evaluations"])
        for name, scores in found["rows"].items():
            _write_lines(cell / MEASURED / ROWS / MODEL / name, _rows(scores))
        write_text(cell / CELL, json.dumps(found["record"], indent=2) + "\n")  # last, as when it was finished
    return len(new)


def _kept_file(kept: Path, cell: Path) -> Path:
    return kept / f"{cell.name}.json"


def _kept(cell: Path) -> dict[str, Any]:
    record = json.loads((cell / CELL).read_text(encoding="utf-8"))
    if any(condition["set_metrics"] for condition in record.get("conditions", [{"set_metrics": ["loss"]}])):
        raise InputError(f"{cell} is measured by more than means of its rows' scores: keep the folder itself.")
    folder = cell / MEASURED / ROWS / MODEL
    return {
        "record": record,
        "evaluations": [line for line in _lines(cell / METRICS) if any(name.startswith("eval_") for name in line)],
        "rows": {str(file.relative_to(folder)): _scores(_lines(file)) for file in sorted(folder.rglob("*.jsonl"))},
    }


def _scores(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    columns = {"row": _packed([row["row"] for row in rows], np.dtype("<i4"))}
    return columns | {
        name: _packed([row["scores"][name] for row in rows], np.dtype("<f4")) for name in rows[0]["scores"]
    }


def _rows(columns: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    scores = {name: _unpacked(text, np.dtype("<f4")) for name, text in columns.items() if name != "row"}
    for index, row in enumerate(_unpacked(columns["row"], np.dtype("<i4"))):
        yield {"row": row, "scores": {name: values[index] for name, values in scores.items()}}


def _packed(values: Sequence[float], form: np.dtype[Any]) -> str:
    return base64.b64encode(zlib.compress(np.array(values, form).tobytes(), 9)).decode()


def _unpacked(text: str, form: np.dtype[Any]) -> list[Any]:
    values: list[Any] = np.frombuffer(zlib.decompress(base64.b64decode(text)), form).tolist()
    return values


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _write_lines(file: Path, lines: Iterator[dict[str, Any]] | Sequence[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, "".join(json.dumps(line) + "\n" for line in lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("keep", "restore"))
    parser.add_argument("file", type=Path, help="the study's file")
    parser.add_argument("runs", type=Path, help="the study's folder")
    given = parser.parse_args()
    kept = DOCS / "studies" / "cells" / given.file.stem
    number = keep(given.runs, kept) if given.what == "keep" else restore(kept, given.file, given.runs)
    print(f"{number} cells: {given.what}")


if __name__ == "__main__":
    main()
