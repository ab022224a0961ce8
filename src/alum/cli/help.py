"""Help texts of commands: their own settings, the adversary's, and those of training that most people use."""

import argparse
from collections.abc import Collection, Sequence

USAGE = "%(prog)s [--config FILE.yaml] [--FLAG VALUE ...]"


class DefaultsFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Help formatter that adds each setting's default, unless there is none or the setting's own text names it."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text = action.help or ""
        if action.default is None or action.default in ([], "") or "default" in text.lower():
            return text
        return super()._get_help_string(action)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        """Shows the first spelling of a flag only; each can be written with hyphens too."""
        name = action.option_strings[0]
        return name if action.nargs == 0 else f"{name} {self._format_args(action, action.dest.upper())}"


def help_text(
    parser: argparse.ArgumentParser, training: Sequence[str], rare: Collection[str] = (), show_all: bool = False
) -> str:
    """Formats a command's help, its settings grouped under titles.

    Settings named in ``training`` are listed in that order, and those named in ``rare`` only with ``show_all``.
    """
    groups: dict[str, list[argparse.Action]] = {
        title: [] for title in ("Required", "Settings", "The adversary", "Training", "Training, further settings")
    }
    for action in parser._actions:
        if action.dest != argparse.SUPPRESS and not isinstance(action, argparse._HelpAction):
            groups[_title(action, training, rare)].append(action)
    if not show_all:
        groups["Training, further settings"] = []
    groups["Training"].sort(key=lambda action: training.index(action.dest))
    formatter = parser._get_formatter()
    formatter.add_usage(parser.usage, parser._actions, parser._mutually_exclusive_groups)
    formatter.add_text(parser.description)
    for title, actions in groups.items():
        formatter.start_section(title)
        formatter.add_arguments(actions)
        formatter.end_section()
    if training and not show_all:
        formatter.add_text("--help_all lists every setting of TrainingArguments.")
    return formatter.format_help()


def _title(action: argparse.Action, training: Sequence[str], rare: Collection[str]) -> str:
    if action.required:
        return "Required"
    if training and action.dest.startswith("adv_"):
        return "The adversary"
    if action.dest in training:
        return "Training"
    return "Training, further settings" if action.dest in rare else "Settings"
