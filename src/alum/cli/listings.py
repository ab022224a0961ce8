"""Lists of tasks, suites and methods: as records for JSON, and in the terminal."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from alum.core.measures.pass_counts import pass_counts
from alum.core.method_settings import Method
from alum.core.methods import METHODS
from alum.data.visible_console import VisibleConsole
from alum.evaluation.suites import SUITES, Suite
from alum.reports.tables import show_paragraph, show_table
from alum.tasks.example_rows import EXAMPLE_ROWS
from alum.tasks.named import TASKS, NamedTask
from alum.tasks.sources import Source

_SPLITS = ("train", "validation", "test")


def source_record(source: Source) -> dict[str, Any]:
    """Facts of a published data set, as tasks and suites have them."""
    layout = source.layout
    return {
        "kind": source.kind,
        "hub_id": source.hub_id,
        "hub_config": source.hub_config,
        "text_columns": list(layout.text),
        "choice_columns": list(layout.choices),
        "label_column": layout.label,
        "label_names": list(layout.label_names),
        "metrics": list(source.metrics),
        "max_length_tokens": source.max_length_tokens,
        "licence": source.licence,
        "citation": source.citation,
        "note": source.note,
        "example_row": EXAMPLE_ROWS.get(source.name),
    }


def task_record(task: NamedTask) -> dict[str, Any]:
    splits = {name: task.splits.get(name, name) for name in (*_SPLITS, *task.splits)}
    return {"name": task.name, **source_record(task.source), "splits": splits}


def suite_record(suite: Suite) -> dict[str, Any]:
    return {"name": suite.name, **source_record(suite.source), "split": suite.split, "group_column": suite.group_column}


def method_record(method: Method) -> dict[str, Any]:
    """A method's settings by their flags, with null for those that have no effect on it."""
    idle, others = method.idle_settings(), ("name", "source", "differences")
    names = [field.name for field in fields(Method) if field.name not in others]
    return {
        **{name: getattr(method, name) for name in others},
        "settings": {f"adv_{name}": None if name in idle else getattr(method, name) for name in names},
        "cost_in_standard_steps": pass_counts(method).in_standard_steps,
    }


def methods_record() -> list[dict[str, Any]]:
    return [method_record(method) for method in METHODS.values()]


def show_tasks() -> None:
    rows = [
        [task.name, _kind_text(task.source), task.source.on_hub, ", ".join(task.source.metrics)]
        for task in TASKS.values()
    ]
    show_table("Named tasks; alum tasks NAME shows one", ("task", "kind", "on the hub", "metrics"), rows, None, 4)


def show_task(task: NamedTask) -> None:
    """Prints a task's columns, labels, metrics and licence, with an example row that is in no data set."""
    source, layout, console = task.source, task.source.layout, VisibleConsole()
    splits = task_record(task)["splits"]
    facts = {
        "on the hub": source.on_hub or f"no: {source.note}",
        "splits": ", ".join(name if name == own else f"{name} ({own})" for name, own in splits.items()),
        "text": " and ".join(layout.text),
        "choices": ", ".join(layout.choices),
        "label": layout.label,
        "label names": ", ".join(f"{name} ({number})" for number, name in enumerate(layout.label_names)),
        "metrics": ", ".join(source.metrics),
        "longest input": f"{source.max_length_tokens} tokens",
        "licence": source.licence,
        "source": source.citation,
        "a row, made up": json.dumps(EXAMPLE_ROWS[source.name]) if source.name in EXAMPLE_ROWS else "",
        "to train": f"alum finetune --task {task.name} --model_name_or_path MODEL --output_dir FOLDER; with files of "
        "one's own: --data_dir FOLDER, or --train_file FILE --validation_file FILE",
    }
    show_paragraph(f"{task.name}: {_kind_text(source)}", facts, console)


def show_suites() -> None:
    """Prints the suites in a table for each question that they ask: who trains on one can measure on all of it."""
    console = VisibleConsole()
    for question, suites in _by_question(SUITES.values()).items():
        metrics = {", ".join(suite.source.metrics) for suite in suites}
        title, header = question, ["suite", "on the hub", "licence"]
        if len(metrics) == 1:
            title = f"{question}; {metrics.pop()}"
        else:
            header.append("metrics")
        show_table(title, header, [_suite_row(suite)[: len(header)] for suite in suites], console, len(header))


def _suite_row(suite: Suite) -> list[str]:
    source = suite.source
    return [suite.name, source.on_hub or "no: give a file", source.licence, ", ".join(source.metrics)]


def _by_question(suites: Iterable[Suite]) -> Mapping[str, Sequence[Suite]]:
    found: dict[str, list[Suite]] = {}
    for suite in suites:
        names = suite.source.layout.label_names
        question = f"Suites of {_kind_text(suite.source)}" + (f": {', '.join(names)}" if names else "")
        found.setdefault(question, []).append(suite)
    return found


def _kind_text(source: Source) -> str:
    """Kind of task in words; of classification also whether it is of pairs, as most people look for."""
    if source.kind.startswith("sequence_"):
        return ("pair" if len(source.layout.text) > 1 else "text") + " classification"
    return source.kind.replace("_", " ")
