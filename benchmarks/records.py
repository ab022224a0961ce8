"""What the benchmarks keep: where and when they ran, what they measured, figures against targets."""

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from alum.stages.runs.environment import environment
from alum.stages.runs.folder import write_json
from benchmarks.places import DOCS


def parser(description: str | None) -> argparse.ArgumentParser:
    """The flags that every benchmark has."""
    flags = argparse.ArgumentParser(description=description)
    flags.add_argument("--output_dir", type=Path, default=DOCS / "benchmarks", help="folder for the figures")
    flags.add_argument("--rehearse", action="store_true", help="a tiny model and few steps")
    return flags


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# -- targets -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """What a contender's figure shall be as a share of another's in the same group."""

    group: str
    contender: str
    figure: str
    over: str
    limit: float
    bound: Literal["at most", "at least"] = "at most"


def outcomes(targets: Sequence[Target], groups: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Each target whose contenders were measured, with its share and whether that reaches it."""
    figures = {(group, row["contender"]): row for group, rows in groups.items() for row in rows}
    found = []
    for target in targets:
        own, other = (figures.get((target.group, name)) for name in (target.contender, target.over))
        if own and other and own[target.figure] is not None and other[target.figure] is not None:
            share = own[target.figure] / other[target.figure]
            reached = share <= target.limit if target.bound == "at most" else share >= target.limit
            found.append({**asdict(target), "share": share, "reached": reached})
    return found


# -- records -----------------------------------------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    """Versions and machine, with the load that it had: timings mean something where it was near zero."""
    return {**environment(), "processor": _processor(), "load_average": os.getloadavg()[0]}


def _processor() -> str | None:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)


class Record:
    """When and on what a benchmark began; with what it measured, its record."""

    def __init__(self) -> None:
        self._environment, self._start = machine(), time.perf_counter()

    def with_results(self, **results: Any) -> dict[str, Any]:
        minutes = (time.perf_counter() - self._start) / 60
        return {"date": str(date.today()), "minutes": minutes, **results, "environment": self._environment}


def write_part(folder: Path, name: str, record: Mapping[str, Any]) -> None:
    """Puts the record of one benchmark into ``cost.json``, which several share; the others' stay."""
    file = folder / "cost.json"
    parts = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    folder.mkdir(parents=True, exist_ok=True)
    write_json(file, {**parts, name: record})
