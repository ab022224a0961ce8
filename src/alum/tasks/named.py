"""Named tasks: where their data is on the hub, what its columns mean, and how the literature scores them."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from alum.core.errors import InputError
from alum.tasks.kind import Layout, TaskKind
from alum.tasks.regression import REGRESSION
from alum.tasks.sequence_classification import SEQUENCE_CLASSIFICATION

GLUE = "nyu-mll/glue"
NLI = ("entailment", "neutral", "contradiction")


@dataclass(frozen=True)
class NamedTask:
    """A data set as a task. ``metrics`` are those that the literature reports, the first one the best checkpoint's.

    ``splits`` maps ours (train, validation, test and further validation sets) to the data set's own names, where they
    differ.
    """

    name: str
    kind: TaskKind
    hub_id: str
    hub_config: str | None
    layout: Layout
    metrics: tuple[str, ...] = ("accuracy",)
    max_length_tokens: int = 128
    splits: Mapping[str, str] = field(default_factory=dict)


def _sentence(
    name: str, hub: str, config: str | None, columns: str, labels: tuple[str, ...], *metrics: str
) -> NamedTask:
    layout = Layout(text=tuple(columns.split()), label_names=labels)
    return NamedTask(name, SEQUENCE_CLASSIFICATION, hub, config, layout, metrics or ("accuracy",))


TASKS: dict[str, NamedTask] = {
    task.name: task
    for task in (
        _sentence("cola", GLUE, "cola", "sentence", ("unacceptable", "acceptable"), "matthews_correlation"),
        _sentence("sst2", GLUE, "sst2", "sentence", ("negative", "positive")),
        _sentence("mrpc", GLUE, "mrpc", "sentence1 sentence2", ("not_equivalent", "equivalent"), "accuracy", "f1"),
        NamedTask("stsb", REGRESSION, GLUE, "stsb", Layout(text=("sentence1", "sentence2")), ("pearson", "spearman")),
        _sentence("qqp", GLUE, "qqp", "question1 question2", ("not_duplicate", "duplicate"), "accuracy", "f1"),
        _sentence("qnli", GLUE, "qnli", "question sentence", ("entailment", "not_entailment")),
        _sentence("rte", GLUE, "rte", "sentence1 sentence2", ("entailment", "not_entailment")),
        _sentence("wnli", GLUE, "wnli", "sentence1 sentence2", ("not_entailment", "entailment")),
        _sentence("snli", "stanfordnlp/snli", None, "premise hypothesis", NLI),
    )
}


def task_named(name: str) -> NamedTask:
    """The row of `TASKS`; raises `InputError`, with the nearest name, for an unknown one."""
    if name not in TASKS:
        near = difflib.get_close_matches(name, TASKS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InputError(f"unknown task {name!r}: expected one of {', '.join(TASKS)}.{hint}")
    return TASKS[name]
