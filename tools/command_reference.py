"""Reference of the command line in MyST Markdown, made from the parsers that the commands themselves have.

Whatever `alum COMMAND --help_all` knows stands here: groups, flags, choices, defaults and texts. The site's builder
puts it into the pages of ``docs/reference/commands``.
"""

import argparse
import re
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from alum.cli import commands
from alum.cli.help import RARE, TITLES
from alum.cli.names import COMMANDS
from alum.cli.parser import CommandParser

RARE_TITLE = "Further settings of the Trainer"
"""What the last title of help is called on a page."""

_OF_TRANSFORMERS = (
    "These are `transformers.TrainingArguments` as they are, with that library's own words. `--help_all` lists them."
)


class _Asked(BaseException):
    """Carries a parser out of the command that was about to print its help."""

    def __init__(self, parser: CommandParser) -> None:
        super().__init__()
        self.parser = parser


def parser_of(command: str) -> CommandParser:
    """Parser that ``command`` prints its whole help by; the command itself does not run."""
    with patch.object(CommandParser, "format_help", _instead_of_help):
        try:
            commands.run(command, ["--help_all"])
        except _Asked as asked:
            return asked.parser
    raise AssertionError(f"{command} has no help")


def _instead_of_help(parser: CommandParser, show_all: bool = False) -> str:
    raise _Asked(parser)


def command_page(command: str) -> str:
    """Body of a command's page: what it does, how it is called, and every flag."""
    parser = parser_of(command)
    called = f"alum {command} [--config FILE.yaml] [--FLAG VALUE …]"
    blocks = [
        f"`alum {command}`: {COMMANDS[command]}.",
        f"```text\n{called}\n```",
        f"```{{program}} alum {command}\n```",
    ]
    groups = _groups(parser)
    if not any(groups.values()):
        blocks.append("It has no settings of its own.")
    for title in TITLES:
        if groups[title]:
            blocks.append(f"## {RARE_TITLE if title == RARE else title}")
            blocks += [_OF_TRANSFORMERS] if title == RARE else []
            blocks += [_option(action) for action in groups[title]]
    return "\n\n".join(blocks) + "\n"


def _groups(parser: CommandParser) -> dict[str, list[argparse.Action]]:
    """Actions by the title that help has them under, in its order: read from the help itself, which groups them."""
    by_flag = {action.option_strings[0]: action for action in parser._actions if action.option_strings}
    groups: dict[str, list[argparse.Action]] = {title: [] for title in TITLES}
    title = ""
    for line in parser.format_help(show_all=True).splitlines():
        if line.endswith(":") and line[:-1] in groups:
            title = line[:-1]
        elif title and (found := re.match(r"  (--\w+)", line)):
            groups[title].append(by_flag[found[1]])
    return groups


def _option(action: argparse.Action) -> str:
    """A flag as an ``option`` directive, to which other pages can link."""
    flag = action.option_strings[0]
    shown = f"{flag} {_value_word(action)}".strip()
    text = " ".join((_sentence(action), *_facts(action)))
    return f"````{{option}} {shown}\n\n{text}\n````"


def _value_word(action: argparse.Action) -> str:
    """What stands behind a flag: a kind of value, with dots where several may stand."""
    if action.nargs == 0 or action.choices:
        return ""
    if action.nargs == "?" and action.const is True:
        return "BOOLEAN"
    word = {int: "INTEGER", float: "NUMBER"}.get(action.type, "TEXT")  # type: ignore[call-overload]
    return f"{word} …" if action.nargs == "+" else str(word)


def _sentence(action: argparse.Action) -> str:
    return escaped(re.sub(r"\s+", " ", action.help or "").strip().replace("%%", "%"))


def _facts(action: argparse.Action) -> Iterator[str]:
    if action.choices:
        yield f"One of {', '.join(f'`{choice}`' for choice in action.choices)}."
    has_default = action.default is not None and action.default not in ([], "")
    if has_default and "default" not in (action.help or "").lower() and not action.required:
        yield f"Default: {_default_text(action.default)}."


def _default_text(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list):
        return ", ".join(f"`{one}`" for one in value)
    return f"`{value}`"


def escaped(text: str) -> str:
    """Text in which nothing is read as Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>#|$~])", r"\\\1", text)
