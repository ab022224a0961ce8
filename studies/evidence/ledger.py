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
    """Adds a line, after one that was cut off too, and sees it on the disk."""
    line = json.dumps(record, allow_nan=False) + "\n"
    with file.open("a+b") as ledger:
        if ledger.tell():
            ledger.seek(-1, os.SEEK_END)
            line = line if ledger.read() == b"\n" else "\n" + line
        ledger.write(line.encode())
        ledger.flush()
        os.fsync(ledger.fileno())
