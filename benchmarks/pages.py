"""Pages about what was measured: prose by hand, and between markers what is made from the record beside the page.

<!-- generated: NAME -->

| a table |

<!-- end: NAME -->
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alum.stages.runs.folder import write_json

MARKER = re.compile(r"^<!-- (generated|end): (.+) -->$", re.MULTILINE)
PART = re.compile(r"^(<!-- generated: (.+) -->)\n.*?^(<!-- end: \2 -->)$", re.MULTILINE | re.DOTALL)


class PageError(ValueError):
    """A page whose markers are not those of the parts that are made for it."""


def filled(page: str, parts: Mapping[str, str]) -> str:
    """Puts each part between its own pair of markers, and leaves everything else as it stands.

    Raises `PageError` where a marker is missing, stands twice, out of order, or has no part.
    """
    names = _names(page)
    if missing := [name for name in parts if name not in names]:
        raise PageError(f"no <!-- generated: {missing[0]} --> to put that part behind: write it where it belongs")
    if unknown := [name for name in names if name not in parts]:
        raise PageError(f"no part is called {unknown[0]}: take its markers out, or give them the name of one")
    return PART.sub(lambda found: f"{found[1]}\n\n{parts[found[2]]}\n\n{found[3]}", page)


def _names(page: str) -> list[str]:
    names: list[str] = []
    opened: str | None = None
    for marker in MARKER.finditer(page):
        line = page.count("\n", 0, marker.start()) + 1
        if opened is not None and marker.groups() != ("end", opened):
            raise PageError(f"line {line}: expected <!-- end: {opened} -->, found {marker[0]}")
        if opened is None and marker[1] == "end":
            raise PageError(f"line {line}: {marker[0]} without its beginning")
        if marker[1] == "generated" and marker[2] in names:
            raise PageError(f"line {line}: {marker[0]} stands twice")
        opened = marker[2] if marker[1] == "generated" else None
        if opened is not None:
            names.append(opened)
    if opened is not None:
        raise PageError(f"no <!-- end: {opened} -->: write it where the part ends")
    return names


@dataclass(frozen=True)
class Page:
    """A committed page, ``NAME.md``, and what is made for it from a record, ``NAME.json``."""

    file: Path
    parts: Callable[[Mapping[str, Any]], Mapping[str, str]]
    """By the names of the markers."""
    draw: Callable[[Mapping[str, Any], Path], None] | None = None
    """Writes the page's figures into a folder."""

    def text(self, record: Mapping[str, Any]) -> str:
        """The committed prose with the parts of a record."""
        try:
            return filled(self.file.read_text(encoding="utf-8"), self.parts(record))
        except PageError as error:
            raise PageError(f"{self.file}: {error}") from None

    def write(self, folder: Path) -> str:
        """Makes page and figures in a folder, from the record that is there; returns the page."""
        record = json.loads((folder / f"{self.file.stem}.json").read_text(encoding="utf-8"))
        text = self.text(record)
        if self.draw is not None:
            self.draw(record, folder)
        (folder / self.file.name).write_text(text, encoding="utf-8")
        return text

    def write_with(self, record: Mapping[str, Any], folder: Path) -> str:
        """The same from a new record, which goes into the folder too."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / f"{self.file.stem}.json", record)
        return self.write(folder)

    def command(self, description: str | None) -> None:
        """The command line that makes the page anew and measures nothing."""
        parser = argparse.ArgumentParser(description=description)
        help_text = f"folder of {self.file.stem}.json"
        parser.add_argument("--output_dir", type=Path, default=self.file.parent, help=help_text)
        try:
            self.write(parser.parse_args().output_dir)
        except PageError as error:
            sys.exit(str(error))
