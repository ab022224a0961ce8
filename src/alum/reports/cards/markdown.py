"""Markdown of model cards: front matter, tables, and a user's texts as code spans, in which nothing is Markdown."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from alum.data.visible_text import visible_line
from alum.data.writing import write_text

CARD = "README.md"
_LICENCE = "# license: yours to choose (an id such as mit); those of the base model and of the data may bind you\n"


def write_card(folder: Path, front: Mapping[str, Any], *blocks: str) -> None:
    """Writes ``README.md`` of front matter, to which a line on the licence is added as a comment, and blocks."""
    head = yaml.safe_dump(dict(front), sort_keys=False)  # all but ASCII escaped: it may not be seen
    write_text(folder / CARD, "\n\n".join((f"---\n{head}{_LICENCE}---", *blocks)) + "\n")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(text: str) -> str:
    """Makes code spans of a user's text, in which nothing is Markdown or HTML, nor obeyed where the card is printed.

    A bar after a backslash, which GitHub takes for the end of a table's cell whatever is done, stands between spans.
    """
    text = visible_line(re.sub(r"[\r\n]+", " ", text))
    return "&#92;&#124;".join(map(_span, text.split("\\|")))


def _span(text: str) -> str:
    """Makes a code span whose fence is not in the text; nothing of an empty text."""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}" if text else ""


def setting_rows(settings: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Makes rows of a table, name and value, of settings."""
    for name, value in settings.items():
        plain = value.value if isinstance(value, Enum) else value
        yield name, str(plain) if isinstance(plain, int | float | None) else code(str(plain))


def score_name(text: str) -> str:
    """Name of a score as it is, and as a code span where it has more than letters and digits, as of files."""
    return text if text.isascii() and re.fullmatch(r"\w+", text) else code(text)


def public_name(name: str) -> str:
    """Name of files, folders or models without the folders of full paths and of what is there on this machine.

    Those tell of somebody's machine, and nothing to anybody else. Several names are joined by `` + ``.
    """
    return " + ".join(_without_folders(part) for part in name.split(" + "))


def _without_folders(name: str) -> str:
    path = Path(name)
    return path.name if path.is_absolute() or os.path.exists(name) else name


def fenced(lines: str) -> str:
    """Makes a block of Python of lines."""
    return f"```python\n{lines.strip()}\n```"
