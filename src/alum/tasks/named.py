"""Named tasks: where their data is on the hub, and what its columns mean."""

import difflib
from dataclasses import dataclass

from alum.core.errors import InputError
from alum.tasks.kind import TaskKind
from alum.tasks.regression import REGRESSION
from alum.tasks.sequence_classification import SEQUENCE_CLASSIFICATION

ENTAILMENT = ("entailment", "not_entailment")
NLI = ("entailment", "neutral", "contradiction")


@dataclass(frozen=True)
class NamedTask:
    """A data set as a task; ``label_names`` are in the order of the integer labels, empty for a number."""

    name: str
    hub_id: str
    hub_config: str | None
    kind: TaskKind
    text_columns: tuple[str, ...]
    label_names: tuple[str, ...] = ()
    label_column: str = "label"
    max_length_tokens: int = 128


TASKS: dict[str, NamedTask] = {
    task.name: task
    for task in (
        NamedTask(
            "cola", "nyu-mll/glue", "cola", SEQUENCE_CLASSIFICATION, ("sentence",), ("unacceptable", "acceptable")
        ),
        NamedTask("sst2", "nyu-mll/glue", "sst2", SEQUENCE_CLASSIFICATION, ("sentence",), ("negative", "positive")),
        NamedTask(
            "mrpc",
            "nyu-mll/glue",
            "mrpc",
            SEQUENCE_CLASSIFICATION,
            ("sentence1", "sentence2"),
            ("not_equivalent", "equivalent"),
        ),
        NamedTask("stsb", "nyu-mll/glue", "stsb", REGRESSION, ("sentence1", "sentence2")),
        NamedTask("rte", "nyu-mll/glue", "rte", SEQUENCE_CLASSIFICATION, ("sentence1", "sentence2"), ENTAILMENT),
        NamedTask("snli", "stanfordnlp/snli", None, SEQUENCE_CLASSIFICATION, ("premise", "hypothesis"), NLI),
    )
}


def task_named(name: str) -> NamedTask:
    """The row of `TASKS`; raises `InputError`, with the nearest name, for an unknown one."""
    if name not in TASKS:
        near = difflib.get_close_matches(name, TASKS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InputError(f"unknown task {name!r}: expected one of {', '.join(TASKS)}.{hint}")
    return TASKS[name]
