"""Settings of each command: the dataclasses whose fields are its flags, all of them importable without torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from alum.cli.output import JsonSettings, QuietSettings


@dataclass(frozen=True)
class CommandSettings:
    """Dataclasses of a command's settings.

    ``of_trainer`` are those among the settings of its Trainer that are alum's own; ``positional`` is the setting that
    may stand first without its flag.
    """

    own: tuple[type, ...] = ()
    of_trainer: tuple[type, ...] = ()
    positional: str | None = None


@dataclass
class TasksArguments(JsonSettings):
    """Settings of `tasks`."""

    task: str | None = field(default=None, metadata={"help": "Task to show with its columns, labels and an example."})


@dataclass
class CompletionArguments:
    """Settings of `completion`."""

    shell: str = field(metadata={"help": "Shell to print the script for: bash, zsh, tcsh or another that shtab knows."})


def command_settings(command: str) -> CommandSettings:
    """Settings of a command, whose dataclasses are imported only here: lists and helps do without the others."""
    return _SETTINGS[command]()


def _pretrain() -> CommandSettings:
    from alum.stages.pretraining.arguments import PretrainArguments, PretrainSettings
    from alum.training.settings import AdversarySettings

    return CommandSettings((PretrainArguments, QuietSettings), (AdversarySettings, PretrainSettings))


def _finetune() -> CommandSettings:
    from alum.stages.finetuning.arguments import FinetuneArguments, FinetuneSettings
    from alum.training.settings import AdversarySettings

    return CommandSettings((FinetuneArguments, QuietSettings), (AdversarySettings, FinetuneSettings))


def _evaluate() -> CommandSettings:
    from alum.stages.evaluation.arguments import EvaluateArguments

    return CommandSettings((EvaluateArguments, QuietSettings))


def _adv_glue() -> CommandSettings:
    from alum.stages.adv_glue.arguments import AdvGlueArguments

    return CommandSettings((AdvGlueArguments, QuietSettings))


def _radius() -> CommandSettings:
    from alum.stages.radius.arguments import RadiusArguments

    return CommandSettings((RadiusArguments, QuietSettings, JsonSettings))


def _plan() -> CommandSettings:
    from alum.stages.plan.arguments import PlanArguments

    return CommandSettings((PlanArguments, JsonSettings))


def _study() -> CommandSettings:
    from alum.stages.study.settings import StudyArguments

    return CommandSettings((StudyArguments, QuietSettings, JsonSettings), positional="study_file")


def _compare() -> CommandSettings:
    from alum.stages.study.comparing.arguments import CompareArguments

    return CommandSettings((CompareArguments,), positional="runs")


def _attack() -> CommandSettings:
    from alum.stages.evaluation.arguments import AttackArguments

    return CommandSettings((AttackArguments,))


def _checklist() -> CommandSettings:
    from alum.stages.checklist.arguments import ChecklistArguments

    return CommandSettings((ChecklistArguments, QuietSettings))


def _reduce() -> CommandSettings:
    from alum.stages.reduction.arguments import ReduceArguments

    return CommandSettings((ReduceArguments, QuietSettings))


def _triggers() -> CommandSettings:
    from alum.stages.triggers.arguments import TriggersArguments

    return CommandSettings((TriggersArguments, QuietSettings))


def _augment() -> CommandSettings:
    from alum.stages.augmentation.arguments import AugmentArguments

    return CommandSettings((AugmentArguments, QuietSettings))


def _demo() -> CommandSettings:
    from alum.stages.demo.arguments import DemoArguments

    return CommandSettings((DemoArguments, QuietSettings))


_LISTS = CommandSettings((JsonSettings,))

_SETTINGS: Mapping[str, Callable[[], CommandSettings]] = {
    "pretrain": _pretrain,
    "finetune": _finetune,
    "methods": lambda: _LISTS,
    "tasks": lambda: CommandSettings((TasksArguments,), positional="task"),
    "suites": lambda: _LISTS,
    "evaluate": _evaluate,
    "advglue": _adv_glue,
    "radius": _radius,
    "plan": _plan,
    "study": _study,
    "compare": _compare,
    "attack": _attack,
    "checklist": _checklist,
    "reduce": _reduce,
    "triggers": _triggers,
    "augment": _augment,
    "demo": _demo,
    "env": lambda: _LISTS,
    "completion": lambda: CommandSettings((CompletionArguments,), positional="shell"),
}
