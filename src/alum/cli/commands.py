"""Commands of the command line: each reads its settings, calls the function that does the work, and prints the outcome.

A command imports its stage when it runs: torch and transformers take seconds, and lists and helps do without them.
"""

import sys
from collections.abc import Sequence

from alum.cli.names import COMMANDS
from alum.cli.parser import CommandParser
from alum.core.errors import InputError, unknown_name


def run(command: str, argv: Sequence[str]) -> None:
    """Runs ``alum command argv``; raises `InputError` for an unknown command."""
    if command not in COMMANDS:
        raise unknown_name("command", command, COMMANDS)
    {
        "pretrain": _pretrain,
        "finetune": _finetune,
        "methods": _methods,
        "tasks": _tasks,
        "suites": _suites,
        "evaluate": _evaluate,
        "radius": _radius,
        "study": _study,
        "compare": _compare,
        "attack": _attack,
        "demo": _demo,
        "env": _env,
    }[command](argv)


def _pretrain(argv: Sequence[str]) -> None:
    from alum.stages.pretraining.arguments import PretrainArguments, PretrainSettings
    from alum.training.settings import AdversarySettings

    CommandParser("pretrain", (PretrainArguments, AdversarySettings, PretrainSettings)).show_help_if_asked(argv)
    from alum.reports.numbers import gain_rows, metric_text
    from alum.reports.tables import show_table
    from alum.stages.pretraining.config import PretrainConfig
    from alum.stages.pretraining.run import pretrain

    _quieten_libraries()
    arguments, config = CommandParser("pretrain", (PretrainArguments,), PretrainConfig).parse(argv)
    result = pretrain(arguments, config)
    rows = [
        [name, metric, metric_text(metric, result.metrics_before[name][metric]), metric_text(metric, value)]
        for name, scores in result.metrics.items()
        for metric, value in scores.items()
        if metric != "num_tokens"
    ]
    rows += [["training", name, "", value] for name, value in gain_rows(vars(result))]
    title = f"{result.base_model or result.architecture}, {result.method}, {result.num_steps} steps"
    if result.tokens_per_second:
        title += f", {result.tokens_per_second:,.0f} tokens a second"
    show_table(title, ("text", "metric", "before", "after"), rows, num_text_columns=2)
    print(f"Model, tokenizer and records are in {result.output_dir}.")


def _finetune(argv: Sequence[str]) -> None:
    from alum.stages.finetuning.arguments import FinetuneArguments, FinetuneSettings
    from alum.training.settings import AdversarySettings

    CommandParser("finetune", (FinetuneArguments, AdversarySettings, FinetuneSettings)).show_help_if_asked(argv)
    from alum.stages.finetuning.config import FinetuneConfig
    from alum.stages.finetuning.run import finetune

    _quieten_libraries()
    arguments, config = CommandParser("finetune", (FinetuneArguments,), FinetuneConfig).parse(argv)
    result = finetune(arguments, config)
    result.show()
    print(f"Model, tokenizer and records are in {result.output_dir}.")


def _evaluate(argv: Sequence[str]) -> None:
    from alum.stages.evaluation.arguments import EvaluateArguments

    (arguments,) = CommandParser("evaluate", (EvaluateArguments,)).parse(argv)
    from alum.reports.evaluation.terminal import show_evaluation
    from alum.stages.evaluation.run import evaluate

    _quieten_libraries()
    result = evaluate(arguments)
    show_evaluation(result.results)
    if result.output_dir is not None:
        print(f"To look at it open {result.output_dir}/report.html; all numbers are in results.json beside it.")


def _study(argv: Sequence[str]) -> None:
    from alum.stages.study.settings import StudyArguments

    parser = CommandParser("study", (StudyArguments,), positional="study_file")
    merges = argv[:1] == ["merge"] and {"-h", "--help"}.isdisjoint(argv)
    arguments = None if merges else parser.parse(argv)[0]
    from alum.reports.study.terminal import show_study
    from alum.stages.study.run import merge_studies, study

    _quieten_libraries()
    if arguments is None:
        if len(argv) < 3 or any(word.startswith("-") for word in argv):
            raise InputError("expected alum study merge OUT A B …: a new folder, and those of studies to join in it.")
        result = merge_studies(argv[1], list(argv[2:]))
    else:
        result = study(arguments)
    show_study(result.results)
    print(f"To look at it open {result.output_dir}/report.html; all numbers are in results.json beside it.")


def _compare(argv: Sequence[str]) -> None:
    from alum.stages.study.comparing.arguments import CompareArguments

    (arguments,) = CommandParser("compare", (CompareArguments,), positional="runs").parse(argv)
    from alum.reports.study.terminal import show_study
    from alum.stages.study.comparing.finished_runs import compare_runs

    show_study(compare_runs(arguments))
    if arguments.output_dir is not None:
        print(f"To look at it open {arguments.output_dir}/report.html; all numbers are in results.json beside it.")


def _attack(argv: Sequence[str]) -> None:
    from alum.stages.evaluation.arguments import AttackArguments

    (arguments,) = CommandParser("attack", (AttackArguments,)).parse(argv)
    from alum.reports.attacked_text import show_attack
    from alum.stages.evaluation.attack import attack

    _quieten_libraries()
    outcome = attack(arguments)
    show_attack(outcome.result, outcome.label, outcome.label_names, outcome.num_unread_words)


def _demo(argv: Sequence[str]) -> None:
    from alum.stages.demo.arguments import DemoArguments

    (arguments,) = CommandParser("demo", (DemoArguments,)).parse(argv)
    from alum.stages.demo.run import demo

    _quieten_libraries()
    demo(arguments)


def _methods(argv: Sequence[str]) -> None:
    CommandParser("methods").parse(argv)
    from alum.reports.methods import show_methods

    show_methods()


def _radius(argv: Sequence[str]) -> None:
    from alum.stages.radius.arguments import RadiusArguments

    (arguments,) = CommandParser("radius", (RadiusArguments,)).parse(argv)
    from alum.reports.radius import show_radius
    from alum.stages.radius.run import radius

    _quieten_libraries()
    result = radius(arguments)
    show_radius(result)
    if arguments.output_dir is not None:
        print(f"The numbers are in {arguments.output_dir}/radius.json.")


def _tasks(argv: Sequence[str]) -> None:
    CommandParser("tasks").parse(argv)
    from alum.reports.tables import show_table
    from alum.tasks.named import TASKS

    rows = [
        [
            task.name,
            _kind_text(task.source.kind),
            task.source.on_hub,
            ", ".join(task.source.metrics),
        ]
        for task in TASKS.values()
    ]
    show_table("Named tasks", ("task", "kind", "on the hub", "metrics"), rows, num_text_columns=4)


def _suites(argv: Sequence[str]) -> None:
    CommandParser("suites").parse(argv)
    from alum.evaluation.suites import SUITES
    from alum.reports.tables import show_table

    rows = [
        [
            suite.name,
            _kind_text(suite.source.kind),
            suite.source.on_hub or "no: give a file",
            ", ".join(suite.source.metrics),
            suite.source.licence,
        ]
        for suite in SUITES.values()
    ]
    show_table("Suites", ("suite", "kind", "on the hub", "metrics", "licence"), rows, num_text_columns=5)


def _kind_text(kind: str) -> str:
    return kind.removeprefix("sequence_").replace("_", " ")


def _env(argv: Sequence[str]) -> None:
    CommandParser("env").parse(argv)
    from alum.stages.runs.environment import environment

    for name, value in environment().items():
        print(f"{name:<14} {value}")


def _quieten_libraries() -> None:
    """Turns off progress bars of loading and writing weights, and of data sets where standard error is no terminal."""
    from datasets import disable_progress_bars
    from transformers.utils import logging

    logging.disable_progress_bar()  # training keeps its own
    if not sys.stderr.isatty():
        disable_progress_bars()
