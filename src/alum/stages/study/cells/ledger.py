"""Ledger of a study's finished cells, found by their settings and data, not by their order."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alum.data.values import as_json
from alum.data.writing import write_text
from alum.stages.study.cells.finetune_cell import FinetuneCell
from alum.stages.study.cells.pretrain_cell import PretrainCell

Cell = FinetuneCell | PretrainCell

CELLS, CELL = "cells", "cell.json"
DIVERGED = "diverged"
"""Field of the record of a search's training that diverged, which has no scores."""


class Ledger:
    """Finished cells of a study's folder, a record each in ``cells/KEY/cell.json``, which is written last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, dict[str, Any] | None] = {}

    def place(self, key: str) -> Path:
        return self.folder / CELLS / key

    def record(self, cell: Cell) -> dict[str, Any] | None:
        """Record of a cell, None where it is not finished, or its model is needed and was not kept."""
        known = self._known.get(cell.key)
        if known is None:
            file = self.place(cell.key) / CELL
            known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
            self._known[cell.key] = known
        if known is not None and isinstance(cell, PretrainCell) and cell.is_fine_tuned and not known["has_model"]:
            self._known[cell.key] = None  # to be read anew when it has run again
            return None
        return known

    def add(self, key: str, record: Mapping[str, Any]) -> None:
        """Adds a finished cell: all else of it is in its place already."""
        write_text(self.place(key) / CELL, json.dumps(as_json(record), indent=2) + "\n")
