"""Each command: its settings, its stage, its table."""

import sys
from collections.abc import Sequence
from typing import Any

from datasets import disable_progress_bars
from transformers.utils import logging

from alum.cli.names import COMMANDS
from alum.cli.parser import CommandParser
from alum.core.errors import unknown_name
from alum.evaluation.suites import SUITES
from alum.reports.attacked_text import show_attack
from alum.reports.evaluation.terminal import show_evaluation
from alum.reports.numbers import metric_text
from alum.reports.tables import show_table
from alum.stages.demo.arguments import DemoArguments
from alum.stages.demo.run import demo
from alum.stages.evaluation.arguments import AttackArguments, EvaluateArguments
from alum.stages.evaluation.attack import attack
from alum.stages.evaluation.run import evaluate
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.config import FinetuneConfig
from alum.stages.finetuning.run import finetune
from alum.stages.pretraining.arguments import PretrainArguments
from alum.stages.pretraining.config import PretrainConfig
from alum.stages.pretraining.run import pretrain
from alum.stages.runs.folder import environment
from alum.tasks.named import TASKS
from alum.tasks.sources import Source


def run(command: str, argv: Sequence[str]) -> None:
    """Runs ``alum command argv``; raises `InputError` for an unknown command."""
    if command not in COMMANDS:
        raise unknown_name("command", command, COMMANDS)
    logging.disable_progress_bar()  # of loading and writing weights; training keeps its own
    if not sys.stderr.isatty():
        disable_progress_bars()
    {
        "pretrain": _pretrain,
        "finetune": _finetune,
        "tasks": _tasks,
        "suites": _suites,
        "evaluate": _evaluate,
        "attack": _attack,
        "demo": _demo,
        "env": _env,
    }[command](argv)


def _parsed(command: str, argv: Sequence[str], *types: type) -> tuple[Any, ...]:
    return CommandParser(command, types, COMMANDS[command]).parse(argv)


def _pretrain(argv: Sequence[str]) -> None:
    arguments, config = _parsed("pretrain", argv, PretrainArguments, PretrainConfig)
    result = pretrain(arguments, config)
    rows = [
        [name, metric, metric_text(metric, result.metrics_before[name][metric]), metric_text(metric, value)]
        for name, scores in result.metrics.items()
        for metric, value in scores.items()
        if metric != "num_tokens"
    ]
    title = f"{result.base_model or result.architecture}, {result.method}, {result.num_steps} steps"
    if result.tokens_per_second:
        title += f", {result.tokens_per_second:,.0f} tokens a second"
    show_table(title, ("text", "metric", "before", "after"), rows, num_text_columns=2)
    print(f"Model, tokenizer and records are in {result.output_dir}.")


def _finetune(argv: Sequence[str]) -> None:
    arguments, config = _parsed("finetune", argv, FinetuneArguments, FinetuneConfig)
    result = finetune(arguments, config)
    rows = [[f"validation {name}", metric_text(name, value)] for name, value in result.metrics.items()]
    rows += [
        ["training rows", str(result.num_train_rows)],
        ["unlabelled rows left out", str(result.num_unlabelled_rows)],
    ]
    rows += [["steps", str(result.num_steps)], ["training seconds", f"{result.train_seconds:.1f}"]]
    show_table(f"{result.task}, {result.method}", ("", "value"), rows)
    print(f"Model, tokenizer and records are in {result.output_dir}.")


def _evaluate(argv: Sequence[str]) -> None:
    (arguments,) = _parsed("evaluate", argv, EvaluateArguments)
    result = evaluate(arguments)
    show_evaluation(result.results)
    if result.output_dir is not None:
        print(f"To look at it open {result.output_dir}/report.html; all numbers are in results.json beside it.")


def _attack(argv: Sequence[str]) -> None:
    (arguments,) = _parsed("attack", argv, AttackArguments)
    outcome = attack(arguments)
    show_attack(outcome.result, outcome.label, outcome.label_names, outcome.num_unread_words)


def _demo(argv: Sequence[str]) -> None:
    (arguments,) = _parsed("demo", argv, DemoArguments)
    demo(arguments)


def _tasks(argv: Sequence[str]) -> None:
    _parsed("tasks", argv)
    rows = [
        [
            task.name,
            _kind_text(task.source),
            task.source.on_hub,
            ", ".join(task.source.metrics),
        ]
        for task in TASKS.values()
    ]
    show_table("Named tasks", ("task", "kind", "on the hub", "metrics"), rows, num_text_columns=4)


def _suites(argv: Sequence[str]) -> None:
    _parsed("suites", argv)
    rows = [
        [
            suite.name,
            _kind_text(suite.source),
            suite.source.on_hub or "no: give a file",
            ", ".join(suite.source.metrics),
            suite.source.licence,
        ]
        for suite in SUITES.values()
    ]
    show_table("Suites", ("suite", "kind", "on the hub", "metrics", "licence"), rows, num_text_columns=5)


def _kind_text(source: Source) -> str:
    return source.kind.removeprefix("sequence_").replace("_", " ")


def _env(argv: Sequence[str]) -> None:
    _parsed("env", argv)
    for name, value in environment().items():
        print(f"{name:<14} {value}")
