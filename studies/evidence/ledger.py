"""Ledger of finished trainings: a JSON object a line, which grows over days and machines and is never rewritten."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Key(NamedTuple):
    """What a training is found by."""

    study: str
    arm: str
    seed: int


def known(files: Iterable[Path]) -> dict[Key, dict[str, Any]]:
    """Records by their keys; a last line that was cut off is passed over."""
    found: dict[Key, dict[str, Any]] = {}
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            found.setdefault(Key(*(record[name] for name in Key._fields)), record)
    return found


def append(file: Path, record: Mapping[str, Any]) -> None:
    """Adds a line and sees it on the disk."""
    with file.open("a", encoding="utf-8") as ledger:
        ledger.write(json.dumps(record, allow_nan=False) + "\n")
        ledger.flush()
        os.fsync(ledger.fileno())
