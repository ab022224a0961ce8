"""Help texts of commands: what must be given, their own settings, the adversary's, and the most used of training."""

import argparse
from collections.abc import Collection, Mapping, Sequence

USAGE = "%(prog)s [--config FILE.yaml] [--FLAG VALUE ...]"

VALIDATION, FILES, RARE = "Validation", "Checkpoints and logs", "Training, further settings"
TITLES = ("Required", "Settings", "The adversary", "Training", VALIDATION, FILES, RARE)
"""Titles of help, in its order."""

_MUST_BE_GIVEN = {
    "pretrain": ("train_file", "output_dir"),
    "finetune": ("task", "output_dir"),
    "plan": ("model_name_or_path",),
}
"""Settings that a command needs, though another of its flags may stand for them."""
_TITLE_BY_SETTING = {
    **dict.fromkeys(
        ("per_device_eval_batch_size", "eval_strategy", "eval_steps", "load_best_model_at_end",
         "early_stopping_patience"), VALIDATION,
    ),
    **dict.fromkeys(
        ("logging_steps", "report_to", "save_strategy", "save_steps", "save_minutes", "max_minutes",
         "resume_from_checkpoint", "overwrite_output_dir", "count_flops_every"), FILES,
    ),
}  # fmt: skip

_MENDED = {
    "disable_tqdm": "Print neither bars nor lines while training.",
    "do_eval": "Has no effect: rows to validate on are evaluated wherever there are some.",
    "do_predict": "Has no effect: rows of a test_file are predicted wherever there is one.",
    "do_train": "Has no effect: the command always trains.",
    "lr_scheduler_type": "Schedule of the learning rate.",
    "optim": "Optimizer.",
    "hub_always_push": "Has no effect: a model is pushed once, at the end.",
    "hub_model_id": "Repository to push to; default: the name of output_dir.",
    "hub_strategy": "When to push: end is the only one, since checkpoints are for going on.",
    "push_to_hub": "Push the model to the hub at the end.",
    "metric_for_best_model": "Metric that the best checkpoint is the best by; default: the task's main one, in "
    "pre-training the loss.",
    "train_sampling_strategy": "Order of training rows: random, sequential, group_by_length or batch_rebalance.",
}
"""Texts in the place of those of `transformers.TrainingArguments` that are not true of alum."""


LONGEST_CHOICES = 60


class DefaultsFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Help formatter that adds each setting's default, unless there is none or the setting's own text names it."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text = action.help or ""
        if _is_long(action):
            text = f"{text} One of {', '.join(map(str, action.choices or ()))}."
        if action.default is None or action.default in ([], "") or "default" in text.lower():
            return text
        if isinstance(action.default, list | bool):
            shown = [str(one).lower() if isinstance(one, bool) else str(one) for one in _as_list(action.default)]
            return f"{text} (default: {' '.join(shown)})"
        return f"{text} (default: {getattr(action.default, 'value', action.default)})"

    def _format_action_invocation(self, action: argparse.Action) -> str:
        """Shows the first spelling of a flag only; each can be written with hyphens too."""
        name = action.option_strings[0]
        if action.nargs == "?" and action.const is True:
            return f"{name} [true|false]"
        if _is_long(action):
            return f"{name} {action.dest.upper()}"
        return name if action.nargs == 0 else f"{name} {self._format_args(action, action.dest.upper())}"


def help_text(
    parser: argparse.ArgumentParser,
    title_by_setting: Mapping[str, str],
    rare: Collection[str] = (),
    show_all: bool = False,
) -> str:
    """Formats a command's help, its settings grouped under titles.

    Settings of training are listed in the order of ``title_by_setting``; those named in ``rare`` only with
    ``show_all``. Twins that turn a setting off (``--no_…``) are left out: ``false`` behind the setting does too.
    """
    groups: dict[str, list[argparse.Action]] = {title: [] for title in TITLES}
    order = {name: place for place, name in enumerate(title_by_setting)}
    for action in parser._actions:
        if action.dest != argparse.SUPPRESS and not isinstance(action, argparse._HelpAction) and not is_twin(action):
            groups[_title(action, title_by_setting, rare)].append(action)
    if not show_all:
        groups[RARE] = []
    for title in ("Training", VALIDATION, FILES):
        groups[title].sort(key=lambda action: order.get(action.dest, len(order)))
    formatter = parser._get_formatter()
    formatter.add_usage(parser.usage, parser._actions, parser._mutually_exclusive_groups)
    formatter.add_text(parser.description)
    for title, actions in groups.items():
        formatter.start_section(title)
        formatter.add_arguments(actions)
        formatter.end_section()
    if "Training" in title_by_setting.values() and not show_all:
        formatter.add_text("--help_all lists every setting of TrainingArguments.")
    return formatter.format_help()


def titles_of(command: str, names: Sequence[str], training: Sequence[str]) -> dict[str, str]:
    """Titles of those settings that do not stand under their command's own; ``training`` are those of training."""
    found = dict.fromkeys(_MUST_BE_GIVEN.get(command, ()), "Required")
    for name in (*training, *names) if training else ():
        if name.startswith("adv_"):
            found.setdefault(name, "The adversary")
        elif name in training or name in _TITLE_BY_SETTING:
            found.setdefault(name, _TITLE_BY_SETTING.get(name, "Training"))
    return found


def is_twin(action: argparse.Action) -> bool:
    """Whether a flag turns off what another turns on."""
    return action.option_strings[:1] == [f"--no_{action.dest}"]


def mend_texts(parser: argparse.ArgumentParser) -> None:
    """Replaces texts of transformers that are not true of alum."""
    for action in parser._actions:
        action.help = _MENDED.get(action.dest, action.help)


def _title(action: argparse.Action, title_by_setting: Mapping[str, str], rare: Collection[str]) -> str:
    if action.required:
        return "Required"
    if title := title_by_setting.get(action.dest):
        return title
    return RARE if action.dest in rare else "Settings"


def _is_long(action: argparse.Action) -> bool:
    """Whether a flag has more choices than fit on a line behind it."""
    return len(",".join(map(str, action.choices or ()))) > LONGEST_CHOICES


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
