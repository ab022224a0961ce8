"""What the benchmarks write: where and when they ran, figures against targets, tables."""

import json
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from alum.stages.runs.environment import environment
from alum.stages.runs.folder import write_json

# -- targets ----


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


# -- records and tables ----


def machine() -> dict[str, Any]:
    """Versions and machine, with the load that it had: timings mean something where it was near zero."""
    return {**environment(), "processor": _processor(), "load_average": os.getloadavg()[0]}


def conditions(record: Mapping[str, Any], command: str) -> str:
    """The sentence that says where, when and with what a record was made."""
    machine = record["environment"]
    return (
        f"`{command}`, {record['date']}: {machine['processors']} processors ({machine['processor']}, "
        f"{machine['platform']}), {machine['torch_threads']} threads, load average {machine['load_average']:.1f} at "
        f"the start; torch {machine['torch']}, transformers {machine['transformers']}, alum {machine['alum']}; "
        f"{record['minutes']:.0f} minutes."
    )


class Record:
    """When and on what a benchmark began; with what it measured, its record."""

    def __init__(self) -> None:
        self._environment, self._start = machine(), time.perf_counter()

    def with_results(self, **results: Any) -> dict[str, Any]:
        minutes = (time.perf_counter() - self._start) / 60
        return {"date": str(date.today()), "minutes": minutes, **results, "environment": self._environment}


def write_part(file: Path, name: str, record: Mapping[str, Any]) -> None:
    """Puts the record of one benchmark into the file that several share; the others' stay."""
    parts = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, {**parts, name: record})


def _processor() -> str | None:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A column of text, then columns of numbers to the right."""
    rule = ["---", *["--:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def short(value: float | None) -> str:
    """A figure of any size in a table's cell."""
    return "–" if value is None else f"{value:.2g}" if abs(value) < 100 else f"{value:,.0f}"


ROUNDING = 1e-9  # divergences below are in a good part rounding of fp32, and their ratios mean nothing


def gain_of(row: Mapping[str, Any]) -> str:
    """A contender's adversarial gain in a table's cell."""
    return short(row["gain"] if row["divergence"] is not None and row["divergence"] > ROUNDING else None)


FIGURES = {"seconds": "time", "peak_bytes": "peak memory", "gain": "adversarial gain"}


def targets_table(found: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            f"{each['group']}: {FIGURES[each['figure']]} of {each['contender']} / {each['over']}",
            f"{'≤' if each['bound'] == 'at most' else '≥'} {each['limit']:.2f}",
            f"{each['share']:.2f}",
            "reached" if each["reached"] else "missed",
        )
        for each in found
    ]
    return markdown_table(["", "to reach", "measured", ""], rows)


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
