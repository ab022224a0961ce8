"""Scripts by which shells complete commands, flags, and names of tasks and methods, made by shtab.

They are static: what a shell completes it knows from the script, and starts no Python.
"""

import argparse
from typing import Any

from alum.cli.command_settings import command_settings
from alum.cli.flags import parser_of
from alum.cli.help import is_twin
from alum.cli.names import COMMANDS
from alum.core.errors import unknown_name
from alum.core.methods import METHODS
from alum.evaluation.suites import SUITES
from alum.tasks.named import TASKS

_NAMES = {"task": TASKS, "adv_method": METHODS, "methods": METHODS, "suites": SUITES}
"""Names that values of settings are of, beside choices that flags have themselves."""


def completion_script(shell: str) -> str:
    """Script for a shell, to be put where it looks for such; raises `InputError` for one that shtab does not know."""
    import shtab

    if shell not in shtab.SUPPORTED_SHELLS:
        raise unknown_name("shell", shell, shtab.SUPPORTED_SHELLS)
    whole = argparse.ArgumentParser(prog="alum", description="Adversarial training for language models.")
    whole.add_argument("--version", action="store_true", help="print the version")
    commands = whole.add_subparsers()
    for command, what in COMMANDS.items():
        settings = command_settings(command)
        parser = commands.add_parser(command, help=what, description=what)
        for one in (*settings.own, *settings.of_trainer):
            for action in parser_of(one)._actions:
                _add(parser, action, settings.positional, {"file": shtab.FILE, "folder": shtab.DIRECTORY})
        file = parser.add_argument("--config", help="YAML file of settings")
        file.complete = shtab.FILE  # type: ignore[attr-defined]
        parser.add_argument("--help_all", action="store_true", help="show all settings")
    script: str = shtab.complete(whole, shell=shell)
    return script


def _add(parser: argparse.ArgumentParser, action: argparse.Action, positional: str | None, kinds: Any) -> None:
    """Adds a flag, or the word that may stand without it, in one spelling and with what completes its value."""
    flag = action.option_strings[0]
    if is_twin(action):
        return
    names = _NAMES.get(action.dest)
    more: dict[str, Any] = {"nargs": action.nargs, "help": (action.help or "").replace("%", "%%")}
    choices = list(action.choices or names or ())
    if choices:
        more["choices"] = choices
    added = [parser.add_argument(flag, dest=f"{action.dest}_", **more)]
    if action.dest == positional:
        added.append(parser.add_argument(action.dest, **{**more, "nargs": action.nargs or "?"}))
    if not choices:
        for one in added:
            one.complete = kinds["folder" if action.dest.endswith("_dir") else "file"]  # type: ignore[attr-defined]
