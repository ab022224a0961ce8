"""Results of a run on a lent machine, which may end at any moment: each a line in a file as soon as it is known."""

import argparse
import json
import math
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.records import Record, parser, progress


def flags_of(description: str | None, seconds: float) -> argparse.ArgumentParser:
    """The flags of every benchmark, and on which device it runs and for how long."""
    flags = parser(description)
    here = "cuda" if torch.cuda.is_available() else "cpu"
    flags.add_argument("--device", default=here, choices=("cpu", "cuda"), help=f"where (default here: {here})")
    flags.add_argument(
        "--seconds", type=float, default=seconds, help="after which nothing new is begun (default: %(default)s)"
    )
    return flags


def synchronize(device: torch.device) -> None:
    """Waits until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Lines:
    """A file of JSON lines: first on what and when they were measured, then a line for each cell.

    A cell that fails leaves its error in its line, and the next one goes on. After ``seconds`` no cell begins.
    """

    def __init__(self, file: Path, seconds: float, about: Mapping[str, Any]) -> None:
        self._start, self._seconds, self._file = time.perf_counter(), seconds, file
        self._is_over = False
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("", encoding="utf-8")
        self.write({**Record().with_results(**about), "minutes": None})

    def seconds_left(self) -> float:
        return self._seconds - (time.perf_counter() - self._start)

    def measure(self, cell: Mapping[str, Any], measured: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any] | None:
        """Writes the line of a cell: its figures, why it failed, or that there was no time. Returns its figures."""
        name = ", ".join(str(value) for value in cell.values())
        if self.seconds_left() < 0:
            self.write({**cell, "left_out": True})
            if not self._is_over:
                progress(f"{name} and all that follows: left out, no time")
            self._is_over = True
            return None
        begin = time.perf_counter()
        try:
            found = measured()
        except Exception as error:
            self.failed(cell, error)
            return None
        elapsed = time.perf_counter() - begin
        self.write({**cell, **found, "elapsed_seconds": elapsed})
        progress(f"{name}: {elapsed:.1f} s")
        return found

    def failed(self, cell: Mapping[str, Any], error: BaseException) -> None:
        """Writes what went wrong, and where, and gives memory back that is held for nothing."""
        traceback.print_exception(error, file=sys.stderr)
        places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
        line = (str(error).splitlines() or [""])[0][:300]
        self.write({**cell, "failed": f"{type(error).__name__}: {line}", "at": " < ".join(reversed(places[-4:]))})
        progress(f"{', '.join(map(str, cell.values()))}: failed")
        traceback.clear_frames(error.__traceback__)
        if isinstance(error, torch.OutOfMemoryError):
            torch.cuda.empty_cache()

    def close(self) -> None:
        """Writes how long it all took."""
        self.write({"minutes": (time.perf_counter() - self._start) / 60})

    def write(self, line: Mapping[str, Any]) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(_finite(line)) + "\n")


def _finite(value: Any) -> Any:
    """JSON has no infinities: None stands for them."""
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def record_in(file: Path) -> dict[str, Any] | None:
    """The record that a file's lines make; None where there is no such file. A line that was cut short is left out."""
    if not file.is_file():
        return None
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            progress(f"{file}: a line that was cut short is left out")
    if not found:
        return None
    about, *cells = found
    last = cells.pop() if cells and set(cells[-1]) == {"minutes"} else {}
    return {**about, **last, "cells": cells}
