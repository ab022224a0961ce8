"""Measures the source against the limits that the project sets itself, and exits with 1 where one is exceeded.

    python tools/house.py [--timed]

The source is parsed, never imported. All rows but the two of scripts are about ``src/alum``:

- *modules in a folder*: files ``*.py`` but ``__init__.py`` directly in it; the largest folder counts.
- *comparisons of a kind of task*: ``==``, ``is``, ``in`` and their negations with ``kind``, ``….kind`` or ``…_kind`` on
  one side and a constant in capitals, or several, on the other; ``kind.name`` beside text; each case of a ``match`` on
  these. In ``tasks/`` they are allowed.
- *comparisons with the name of a kind*: with text that is a name of a `TaskKind` made in ``tasks/``, alone or among
  several, whatever is compared, and cases of a ``match``. In ``tasks/`` they are allowed, and anywhere those of an
  ``objective``: pre-training's two are a choice of its users, and are called as the kinds that they train.
- *lines with trust_remote_code*: whatever they do with it.
- *(a, b) passed side by side*: functions with parameters of both names, and dataclasses with both fields. One dataclass
  of these two fields alone, the value that should be passed instead, is free.
- *assertions of a supervision*: ``assert`` of anything that has ``supervision is not None`` in it.
- *dataclasses of an attack's limits*: four or more of `source_counts.ATTACK_LIMITS` among their own fields, without
  inherited ones; in ``attacks/``, and anywhere those whose name ends in ``Arguments``.
- *pairs of dataclasses alike*: in ``tasks/`` and ``evaluation/``, with five or more own fields in common.
- *public names defined twice*: classes, functions, type aliases and constants in capitals of several modules.
- *neighbours that differ by a final s*: module files and folders of one folder.
- *modules of one name in a layer*: anywhere below the same folder of ``src/alum``.
- *parameters*: all kinds but ``*args`` and ``**kwargs``, without ``self`` and ``cls``.
- *lines of a function*: from the first statement after the docstring to the last, comments and blank lines included.
- *docstrings that begin with The or What*: of modules and of public classes, methods and functions.
- *prose in scripts*: lines of strings in ``benchmarks/`` and ``studies/`` that stretch over three or more, without
  docstrings; parts that Python joins by itself are one string. *sys.path*: each mention of it there.
- *processor seconds*, with ``--timed``: user and system time of a command in a process of its own, the least of three.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import source_counts as counts
from source_counts import Module, modules_in

ROOT = Path(__file__).parents[1]
ROOMY_FOLDERS = ("stages", "attacks", "reports", "evaluation")
TIMED_COMMANDS = ("tasks", "suites", "methods", "--help", "finetune --help")


@dataclass(frozen=True)
class Row:
    """A line of the table; without a limit it is for information. ``places`` say where what was counted is."""

    what: str
    count: float
    limit: float | None
    places: Sequence[str] = ()

    @property
    def is_exceeded(self) -> bool:
        return self.limit is not None and not self.count <= self.limit


def processor_seconds(command: Sequence[str], source: Path, runs: int = 3) -> float:
    """User and system time of a command, the least of several runs; infinite where it fails. Unix only."""
    seconds = []
    for _ in range(runs):
        process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": str(source)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds.append(float("inf") if process.returncode else usage.ru_utime + usage.ru_stime)
    return min(seconds)


def source_rows(modules: Sequence[Module]) -> list[Row]:
    """All rows about the package that ``modules`` are."""
    rows = []

    def listed(what: str, places: Sequence[str], limit: int | None = 0) -> None:
        rows.append(Row(what, len(places), limit, places))

    roomy: list[Module] = []
    other: list[Module] = []
    for module in modules:
        (roomy if module.path.parts[0] in ROOMY_FOLDERS else other).append(module)
    for where, some, most in ((", ".join(ROOMY_FOLDERS), roomy, 9), ("other packages", other, 12)):
        folder, size = counts.largest_folder(some)
        rows.append(Row(f"modules in a folder of {where}: {folder}", size, most))
    listed("comparisons of a kind of task outside tasks", counts.kind_comparisons(modules))
    listed("comparisons with the name of a kind outside tasks", counts.kind_name_comparisons(modules))
    listed("lines with trust_remote_code", counts.lines_with(modules, "trust_remote_code"), limit=8)
    for pair in (("table", "layout"), ("tokenizer", "max_length_tokens")):
        listed(f"({', '.join(pair)}) passed side by side", counts.carriers(modules, pair))
    listed("assertions of a supervision", counts.asserted_supervision(modules))
    listed(
        "dataclasses of an attack's limits, in attacks", counts.limits_of_attacks(modules, are_arguments=False), limit=1
    )
    listed(
        "dataclasses of an attack's limits, among arguments",
        counts.limits_of_attacks(modules, are_arguments=True),
        limit=1,
    )
    listed("pairs of dataclasses alike in tasks and evaluation", counts.dataclasses_alike(modules))
    listed("public names defined in several modules", counts.names_defined_twice(modules))
    listed("neighbours that differ by a final s", counts.plural_neighbours(modules))
    listed("modules of one name in a layer", counts.same_module_names(modules), limit=None)
    listed("functions of more than 6 parameters", counts.functions_of_many_parameters(modules))
    listed("functions of more than 60 lines", counts.long_functions(modules))
    listed("public docstrings that begin with The or What", counts.docstrings_that_begin(modules))
    return rows


def script_rows(modules: Sequence[Module]) -> list[Row]:
    """All rows about the scripts that ``modules`` are."""
    strings = counts.prose(modules)
    paths = counts.mentions_of_sys_path(modules)
    return [
        Row("lines of benchmarks and studies", sum(len(module.text.splitlines()) for module in modules), None),
        Row("lines of prose in them", sum(lines for _, lines in strings), 30, [where for where, _ in strings]),
        Row("mentions of sys.path in them", len(paths), 0, paths),
    ]


def timed_rows(source: Path) -> list[Row]:
    """Processor time of commands that only list what there is."""
    return [
        Row(
            f"processor seconds of python -m alum {command}",
            processor_seconds([sys.executable, "-m", "alum", *command.split()], source),
            0.6,
        )
        for command in TIMED_COMMANDS
    ]


def show(rows: Sequence[Row], write: Callable[[str], object] = print) -> None:
    """Writes the places of what exceeds its limit, and then the table."""
    for row in rows:
        if row.is_exceeded and row.places:
            write(f"{row.what}:")
            for place in row.places:
                write(f"    {place}")
            write("")
    width = max(len(row.what) for row in rows)
    write(f"{'counted':<{width}}   count   limit")
    for row in rows:
        limit = "" if row.limit is None else f"{row.limit:g}"
        count = f"{row.count:.2f}" if isinstance(row.count, float) else str(row.count)
        write(f"{row.what:<{width}} {count:>7} {limit:>7} {'  exceeded' if row.is_exceeded else ''}".rstrip())


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the source against the project's own limits.")
    parser.add_argument("--timed", action="store_true", help="Also measure how long commands take to start.")
    timed = parser.parse_args().timed
    source = ROOT / "src"
    scripts = [module for name in ("benchmarks", "studies") for module in modules_in(ROOT / name, ROOT)]
    rows = (
        source_rows(modules_in(source / "alum", source / "alum"))
        + script_rows(scripts)
        + (timed_rows(source) if timed else [])
    )
    show(rows)
    return int(any(row.is_exceeded for row in rows))


if __name__ == "__main__":
    sys.exit(main())
