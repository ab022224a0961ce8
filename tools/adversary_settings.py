"""Table of the adversary's settings in the page on methods, made from the class that reads them.

`python tools/adversary_settings.py` from the root of the project writes it, where the settings have changed.
"""

import dataclasses
import re
import typing
from pathlib import Path

from alum.core.methods import METHODS
from alum.training.settings import AdversarySettings

PAGE = Path(__file__).parents[1] / "docs" / "concepts" / "methods.md"
START, END = "<!-- generated: settings -->", "<!-- end: settings -->"

_WORDS = {float: "number", int: "whole number", str: "text", bool: "`true`, `false`"}


def settings_table() -> str:
    """Markdown table with a row for each setting: its values, what it is, and its default by method."""
    rows = ["| setting | values | what it is | default |", "|---|---|---|---|"]
    types = typing.get_type_hints(AdversarySettings)
    for field in dataclasses.fields(AdversarySettings):
        text, default = _split(field.metadata["help"])
        values = "a method" if field.name == "adv_method" else _values(types[field.name])
        rows.append(f"| `{field.name}` | {values} | {text} | {default or f'{field.default}'.lower()} |")
    return "\n".join(rows)


def written(page: str) -> str:
    """Page with the table as the code has it now."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{settings_table()}\n\n{END}{after}"


def _split(text: str) -> tuple[str, str | None]:
    """What a setting is, and the default that its help text names."""
    found = re.fullmatch(r"(.*?)(?: \(default: (.*)\))?\.", text, re.DOTALL)
    assert found is not None, text
    return found[1].replace(f": {', '.join(METHODS)}", ""), found[2]


def _values(of: type) -> str:
    kinds = [kind for kind in typing.get_args(of) if kind is not type(None)] or [of]
    if typing.get_origin(of) is typing.Literal:
        return ", ".join(f"`{word}`" for word in kinds)
    words = [word for kind in kinds for word in typing.get_args(kind)]
    return ", ".join(f"`{word}`" for word in words) if words else _WORDS[kinds[0]]


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
