"""What ``--help`` shows: a command's own settings, the adversary's, and those of training that most people use."""

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Any

from transformers import TrainingArguments

USAGE = "%(prog)s [--config FILE.yaml] [--FLAG VALUE ...]"
OFTEN_USED = (
    "output_dir", "learning_rate", "num_train_epochs", "max_steps", "per_device_train_batch_size",
    "per_device_eval_batch_size", "gradient_accumulation_steps", "warmup_steps", "weight_decay", "logging_steps",
    "eval_strategy", "eval_steps", "save_strategy", "save_steps", "load_best_model_at_end", "seed", "bf16", "fp16",
    "use_cpu", "resume_from_checkpoint", "report_to",
)  # fmt: skip
_OF_TRAINER = {field.name for field in dataclasses.fields(TrainingArguments)}


class DefaultsFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """With the default of each setting that has one, unless its text says it."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text = action.help or ""
        if action.default is None or action.default in ([], "") or "default" in text.lower():
            return text
        return super()._get_help_string(action)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        """The first spelling only: each setting can be written with hyphens, too."""
        name = action.option_strings[0]
        return name if action.nargs == 0 else f"{name} {self._format_args(action, action.dest.upper())}"


class ShowAll(argparse.Action):
    """``--help_all``."""

    def __init__(self, option_strings: Sequence[str], dest: str, **kwargs: Any) -> None:
        super().__init__(option_strings, dest=argparse.SUPPRESS, default=argparse.SUPPRESS, nargs=0, **kwargs)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(help_text(parser, show_all=True), end="")
        parser.exit()


def help_text(parser: argparse.ArgumentParser, show_all: bool = False) -> str:
    """The settings of ``parser`` under titles; the rarer ones of TrainingArguments only if all are asked for."""
    groups: dict[str, list[argparse.Action]] = {
        title: [] for title in ("Required", "Settings", "The adversary", "Training", "Training, further settings")
    }
    for action in parser._actions:
        if not isinstance(action, ShowAll | argparse._HelpAction):
            groups[_title(action)].append(action)
    rare = groups["Training, further settings"]
    if not show_all:
        groups["Training, further settings"] = []
    groups["Training"].sort(key=lambda action: (*OFTEN_USED, action.dest).index(action.dest))
    formatter = parser._get_formatter()
    formatter.add_usage(parser.usage, parser._actions, parser._mutually_exclusive_groups)
    formatter.add_text(parser.description)
    for title, actions in groups.items():
        formatter.start_section(title)
        formatter.add_arguments(actions)
        formatter.end_section()
    if rare and not show_all:
        formatter.add_text("--help_all lists every setting of TrainingArguments.")
    return formatter.format_help()


def _title(action: argparse.Action) -> str:
    if action.required:
        return "Required"
    name = next((option for option in action.option_strings), "").removeprefix("--").removeprefix("no_")
    if name.startswith("adv_"):
        return "The adversary"
    if action.dest in OFTEN_USED and action.dest in _OF_TRAINER:
        return "Training"
    return "Training, further settings" if action.dest in _OF_TRAINER else "Settings"
