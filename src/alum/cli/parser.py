"""Flags from dataclasses and a YAML file: defaults, then the file, then the flags."""

import difflib
import json
from collections.abc import Sequence
from typing import Any, NoReturn

import yaml
from transformers import HfArgumentParser

from alum.cli.help import USAGE, DefaultsFormatter, ShowAll, help_text
from alum.core.errors import InputError
from alum.data.files import read_text


class CommandParser(HfArgumentParser):
    """`HfArgumentParser` for one command: ``--config file.yaml``, and unknown names refused with the nearest known."""

    def __init__(self, command: str, dataclass_types: Sequence[Any], description: str) -> None:
        super().__init__(
            dataclass_types,
            prog=f"alum {command}",
            description=description,
            allow_abbrev=False,
            usage=USAGE,
            formatter_class=DefaultsFormatter,
        )
        self.add_argument("--help_all", action=ShowAll, help="Show all settings.")

    def parse(self, argv: Sequence[str]) -> tuple[Any, ...]:
        """One object for each dataclass; raises `InputError` for what cannot be used."""
        argv, file = _take_config(argv)
        if file is not None:
            argv = [*self._flags_of(file), *argv]
        try:
            *parsed, rest = self.parse_args_into_dataclasses(
                argv, return_remaining_strings=True, look_for_args_file=False
            )
        except (ValueError, ImportError) as error:  # a dataclass refuses its values
            raise InputError(str(error)) from None
        if rest:
            raise InputError(self._unknown(rest[0].split("=")[0], "flag"))
        return tuple(parsed)

    def format_help(self) -> str:
        return help_text(self)

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}. See {self.prog} --help.")

    def _flags_of(self, file: str) -> list[str]:
        try:
            settings = yaml.safe_load(read_text(file))
        except yaml.YAMLError as error:
            raise InputError(f"{file} is not YAML: {' '.join(str(error).split())}") from None
        if not isinstance(settings, dict):
            raise InputError(f"{file}: expected lines of the form 'name: value', not {type(settings).__name__}.")
        flags: list[str] = []
        for name, value in settings.items():
            if f"--{name}" not in self._option_string_actions:
                raise InputError(f"{file}: {self._unknown(f'--{name}', 'key')}")
            if value is not None:
                values = value if isinstance(value, list) else [value]
                flags += [f"--{name}", *map(_flag_value, values)]
        return flags

    def _unknown(self, flag: str, what: str) -> str:
        known = [option for option in self._option_string_actions if option.startswith("--")]
        near = difflib.get_close_matches(flag, known, n=1)
        shown = flag if what == "flag" else flag.removeprefix("--")
        hint = f" Did you mean {near[0] if what == 'flag' else near[0].removeprefix('--')}?" if near else ""
        return f"unknown {what} {shown}.{hint} See {self.prog} --help."


def _take_config(argv: Sequence[str]) -> tuple[list[str], str | None]:
    rest, file, waiting = [], None, iter(argv)
    for word in waiting:
        if word == "--config":
            file = next(waiting, None)
            if file is None:
                raise InputError("--config expects a YAML file.")
        elif word.startswith("--config="):
            file = word.removeprefix("--config=")
        else:
            rest.append(word)
    return rest, file


def _flag_value(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict) else str(value)
