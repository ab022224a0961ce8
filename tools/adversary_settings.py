"""Tables in the page on methods, made from the code: what each differs in from its source, and every setting.

`python tools/adversary_settings.py` from the root of the project writes them, where methods or settings have changed.
"""

import dataclasses
import re
import typing
from pathlib import Path

from alum.core.methods import METHODS
from alum.training.settings import AdversarySettings

PAGE = Path(__file__).parents[1] / "docs" / "concepts" / "methods.md"

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


def differences_table() -> str:
    """Markdown table with a row for each method that differs from its source: where it is from, and in what."""
    rows = ["| `adv_method` | source | differs here |", "|---|---|---|"]
    rows += [f"| `{row.name}` | {row.source} | {row.differences} |" for row in METHODS.values() if row.differences]
    return "\n".join(rows)


def written(page: str) -> str:
    """Page with the tables as the code has them now."""
    for name, table in (("differences", differences_table()), ("settings", settings_table())):
        start, end = f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
        before, _, rest = page.partition(start)
        _, _, after = rest.partition(end)
        page = f"{before}{start}\n\n{table}\n\n{end}{after}"
    return page


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
