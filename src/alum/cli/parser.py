"""Settings of a command from flags and a YAML file: flags override the file, and the file overrides defaults."""

import argparse
import dataclasses
import difflib
import itertools
import json
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from alum.cli.flags import own_fields_first, parser_of
from alum.cli.help import USAGE, DefaultsFormatter, help_text, mend_texts, titles_of
from alum.cli.names import COMMANDS
from alum.core.errors import InputError
from alum.data.yaml_files import read_yaml
from alum.stages.runs.settings import StageSettings
from alum.training.settings import PaddingSettings

SPELT_WITH_HYPHENS = re.compile(r"(?<=\w)/--[\w-]+")
"""Second spelling of a flag, as argparse names both."""


class CommandParser(argparse.ArgumentParser):
    """Parser of one command's settings, from flags and ``--config FILE.yaml``, with hints for misspelt names.

    ``settings`` are dataclasses of alum's own; ``config`` is a Trainer's, which inherits `TrainingArguments`. The
    setting ``positional`` may be given as the first word, without its flag.
    """

    def __init__(
        self,
        command: str,
        settings: Sequence[type] = (),
        config: type | None = None,
        positional: str | None = None,
    ) -> None:
        self._positional = positional
        self._types = [*settings] if config is None else [*settings, config]
        trains = any(issubclass(of, StageSettings) for of in self._types)
        names = [name for of in self._types for name in _names(of)]
        self._titles = titles_of(command, names, _names(StageSettings) if trains else [])
        self._rare = [] if config is None else _rare_names(config)
        super().__init__(
            prog=f"alum {command}",
            description=COMMANDS[command],
            allow_abbrev=False,
            usage=USAGE,
            formatter_class=DefaultsFormatter,
            parents=[*map(parser_of, settings), *([] if config is None else [_trainers_parser_of(config)])],
        )
        for action in self._actions:
            if positional is not None and action.dest == positional:
                word = positional.upper() if action.required else f"[{positional.upper()}]"
                self.usage = USAGE.replace("[", f"{word} [", 1)
        self.add_argument("--help_all", action=_ShowAll, help="Show all settings.")

    def parse(self, argv: Sequence[str]) -> tuple[Any, ...]:
        """Parses a command's words into one object for each dataclass; raises `InputError` for unusable ones."""
        if self._positional and argv and not argv[0].startswith("-"):
            argv = [f"--{self._positional}", *argv]
        argv, file = _take_config(argv)
        self._refuse_unknown(argv)
        if file is not None:
            argv = [*self._flags_of(file), *argv]
        values, rest = self.parse_known_args(argv)
        if rest:
            raise InputError(self._left_over(rest[0], argv))
        try:
            parsed = [_object(of, values) for of in self._types]
        except (ValueError, ImportError) as error:  # a dataclass refuses its values
            raise InputError(str(error)) from None
        return tuple(parsed)

    def show_help_if_asked(self, argv: Sequence[str]) -> None:
        """Prints the help and exits where ``argv`` has ``--help`` anywhere, before a word of it is read."""
        if not {"-h", "--help"}.isdisjoint(argv):
            self.print_help()
            self.exit()

    def format_help(self, show_all: bool = False) -> str:
        return help_text(self, self._titles, self._rare, show_all)

    def print_help(self, file: Any = None) -> None:
        """Prints the help; argparse would keep silent about output that cannot be written."""
        print(self.format_help(), end="", file=file)

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{SPELT_WITH_HYPHENS.sub('', message)}. See {self.prog} --help.")

    def _refuse_unknown(self, argv: Sequence[str]) -> None:
        """Raises `InputError` for the first unknown flag: argparse alone would first name a missing one."""
        for word in itertools.takewhile(lambda word: word != "--", argv):
            flag = word.split("=")[0]
            if word == f"{flag}=--":  # which argparse takes for a list without entries
                self.error(f"argument {flag}: expected a value, not '--'")
            if flag.startswith("--") and " " not in word and flag not in self._option_string_actions:
                raise InputError(self._unknown(flag, "flag"))

    def _left_over(self, word: str, argv: Sequence[str]) -> str:
        """Message about a word that belongs to no flag."""
        if word.startswith("-"):
            return self._unknown(word.split("=")[0], "flag")
        for flag, value, further in zip(argv, argv[1:], argv[2:], strict=False):
            if further == word and flag.startswith("--") and not value.startswith("--"):
                listed = f"{value.rstrip(',')},{word.strip(',')}"
                return (
                    f"{word!r} is one word too many: {flag} takes one value, here {value!r}. A list has commas, "
                    f"{flag} {listed}, and a value with spaces quotes, {flag} '{value} {word}'."
                )
        return f"{word!r} belongs to no flag: expected --FLAG VALUE. See {self.prog} --help."

    def _flags_of(self, file: str) -> list[str]:
        settings = read_yaml(file)
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


class _ShowAll(argparse.Action):
    """Action of ``--help_all``: prints the help with all settings, and exits."""

    def __init__(self, option_strings: Sequence[str], dest: str, **kwargs: Any) -> None:
        super().__init__(option_strings, dest=argparse.SUPPRESS, default=argparse.SUPPRESS, nargs=0, **kwargs)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        assert isinstance(parser, CommandParser)
        print(parser.format_help(show_all=True), end="")
        parser.exit()


def _trainers_parser_of(config: type) -> argparse.ArgumentParser:
    from transformers import HfArgumentParser  # imports torch, which help and lists do without

    parser: argparse.ArgumentParser = HfArgumentParser(config, add_help=False)  # type: ignore[arg-type]
    order = [field.name for field in own_fields_first(config)]
    parser._actions.sort(key=lambda action: order.index(action.dest))
    mend_texts(parser)
    return parser


def _names(of: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(of)]


def _rare_names(config: type) -> list[str]:
    """Settings of the Trainer that few people use: those that the stage does not have among its own."""
    from transformers import TrainingArguments

    of_stage = (of for of in config.__mro__ if issubclass(of, StageSettings) and not issubclass(of, TrainingArguments))
    often = {name for of in of_stage for name in _names(of)}
    return [name for name in (*_names(TrainingArguments), *_names(PaddingSettings)) if name not in often]


def _object(of: type, values: argparse.Namespace) -> Any:
    given = {field.name: getattr(values, field.name) for field in dataclasses.fields(of) if field.init}
    for name, value in given.items():
        if isinstance(value, int) and abs(value) >= 2**63:  # no library takes it
            raise InputError(f"{name} is too large a number: {value}.")
    return of(**given)


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
    """Writes a value of a YAML file as on the command line."""
    return json.dumps(value) if isinstance(value, dict) else str(value)
