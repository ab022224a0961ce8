"""Named tasks: where their data is on the hub, what its columns mean, and how the literature scores them."""

import types
from collections.abc import Mapping
from dataclasses import dataclass, field

from alum.core.errors import unknown_name
from alum.tasks.base import Layout, TaskKind
from alum.tasks.kinds.multiple_choice import MULTIPLE_CHOICE
from alum.tasks.kinds.question_answering import QUESTION_ANSWERING
from alum.tasks.kinds.regression import REGRESSION
from alum.tasks.kinds.sequence_classification import SEQUENCE_CLASSIFICATION
from alum.tasks.kinds.token_classification import TOKEN_CLASSIFICATION

GLUE = "nyu-mll/glue"
NLI = ("entailment", "neutral", "contradiction")


@dataclass(frozen=True)
class NamedTask:
    """A data set as a task. ``metrics`` are those that the literature reports, the first one the best checkpoint's.

    ``splits`` maps our names (train, validation, test, and further ones that are measured too) to the data set's own,
    joined by ``+`` where several make one, wherever they are not the same.
    """

    name: str
    kind: TaskKind
    hub_id: str
    hub_config: str | None
    layout: Layout
    metrics: tuple[str, ...] = ("accuracy",)
    max_length_tokens: int = 128
    splits: Mapping[str, str] = field(default_factory=dict)


def _classification(
    name: str,
    hub_id: str,
    hub_config: str | None,
    columns: str,
    labels: str,
    metrics: str = "accuracy",
    max_length_tokens: int = 128,
    splits: Mapping[str, str] = types.MappingProxyType({}),
) -> NamedTask:
    layout = Layout(text=tuple(columns.split()), label_names=tuple(labels.split()))
    return NamedTask(
        name,
        SEQUENCE_CLASSIFICATION,
        hub_id,
        hub_config,
        layout,
        tuple(metrics.split()),
        max_length_tokens,
        splits,
    )


def _glue(name: str, columns: str, labels: str, metrics: str = "accuracy") -> NamedTask:
    return _classification(name, GLUE, name, columns, labels, metrics)


def _anli(name: str, rounds: str) -> NamedTask:
    def joined(split: str) -> str:
        return "+".join(f"{split}_r{number}" for number in rounds)

    return _classification(
        name,
        "facebook/anli",
        None,
        "premise hypothesis",
        " ".join(NLI),
        max_length_tokens=256,
        splits={"train": joined("train"), "validation": joined("dev"), "test": joined("test")},
    )


def _choice(name: str, hub_id: str, hub_config: str | None, text: str, choices: str, label: str = "label") -> NamedTask:
    layout = Layout(text=tuple(text.split()), choices=tuple(choices.split()), label=label)
    return NamedTask(name, MULTIPLE_CHOICE, hub_id, hub_config, layout)


def _question_answering(name: str, hub_id: str) -> NamedTask:
    layout = Layout(text=("question", "context"), label="answers")
    return NamedTask(name, QUESTION_ANSWERING, hub_id, None, layout, ("f1", "exact_match"), max_length_tokens=384)


def _tagging(name: str, hub_id: str, entities: str) -> NamedTask:
    tags = ("O", *(f"{mark}-{entity}" for entity in entities.split() for mark in "BI"))
    layout = Layout(text=("tokens",), label="ner_tags", label_names=tags)
    return NamedTask(name, TOKEN_CLASSIFICATION, hub_id, None, layout, ("f1", "precision", "recall"))


# Label names in the order of the data sets' integers. Metrics: GLUE's are those of its leaderboard (Wang et al. 2019).
TASKS: dict[str, NamedTask] = {
    task.name: task
    for task in (
        _glue("cola", "sentence", "unacceptable acceptable", "matthews_correlation"),
        _glue("sst2", "sentence", "negative positive"),
        _glue("mrpc", "sentence1 sentence2", "not_equivalent equivalent", "f1 accuracy"),
        NamedTask("stsb", REGRESSION, GLUE, "stsb", Layout(text=("sentence1", "sentence2")), ("pearson", "spearman")),
        _glue("qqp", "question1 question2", "not_duplicate duplicate", "f1 accuracy"),
        _classification(
            "mnli",
            GLUE,
            "mnli",
            "premise hypothesis",
            " ".join(NLI),
            splits={"validation": "validation_matched", "test": "test_matched"},
        ),
        _glue("qnli", "question sentence", "entailment not_entailment"),
        _glue("rte", "sentence1 sentence2", "entailment not_entailment"),
        _glue("wnli", "sentence1 sentence2", "not_entailment entailment"),
        _classification("snli", "stanfordnlp/snli", None, "premise hypothesis", " ".join(NLI)),
        _classification("scitail", "allenai/scitail", "tsv_format", "premise hypothesis", "entails neutral"),
        _anli("anli_r1", "1"),
        _anli("anli_r2", "2"),
        _anli("anli_r3", "3"),
        _anli("anli", "123"),
        _classification("sick", "RobZamp/sick", None, "sentence_A sentence_B", " ".join(NLI)),
        _classification(
            "imdb",
            "stanfordnlp/imdb",
            None,
            "text",
            "negative positive",
            max_length_tokens=512,
            splits={"validation": "test"},
        ),
        _question_answering("squad", "rajpurkar/squad"),
        _question_answering("squad_v2", "rajpurkar/squad_v2"),
        _choice("swag", "allenai/swag", "regular", "sent1 sent2", "ending0 ending1 ending2 ending3"),
        _choice("hellaswag", "Rowan/hellaswag", None, "ctx_a ctx_b", "endings"),
        _choice(
            "codah", "jaredfern/codah", "fold_0", "question_propmt", "candidate_answers", label="correct_answer_idx"
        ),
        _choice("copa", "aps/super_glue", "copa", "premise question", "choice1 choice2"),
        _tagging("conll2003", "eriktks/conll2003", "PER ORG LOC MISC"),
        _tagging("wnut_17", "leondz/wnut_17", "corporation creative-work group location person product"),
    )
}


def task_named(name: str) -> NamedTask:
    """The row of `TASKS`; raises `InputError`, with the nearest name, for an unknown one."""
    if name not in TASKS:
        raise unknown_name("task", name, TASKS)
    return TASKS[name]
