"""Suites: data sets that models are measured on, a row each."""

from collections.abc import Mapping
from dataclasses import dataclass

from alum.core.errors import unknown_name
from alum.tasks.base import Layout, TaskKind
from alum.tasks.kinds.multiple_choice import MULTIPLE_CHOICE
from alum.tasks.kinds.question_answering import QUESTION_ANSWERING
from alum.tasks.kinds.sequence_classification import SEQUENCE_CLASSIFICATION
from alum.tasks.named import GLUE, NLI, TASKS

NOT_STATED = "not stated"
SENTIMENT = ("negative", "positive")
ADV_GLUE = "AI-Secure/adv_glue"


@dataclass(frozen=True)
class Suite:
    """A data set to measure models on.

    ``split`` is the data set's own name for it. ``licence`` is what the card of the data set
    on the hub says, where there is one. ``group_column`` holds what scores are also given apart for.
    """

    name: str
    kind: TaskKind
    hub_id: str | None
    """None for data that is not on the hub in a form that loads, and has to be given as a file."""
    hub_config: str | None
    split: str
    layout: Layout
    metrics: tuple[str, ...]
    """Those that the literature reports, main one first."""
    licence: str
    citation: str
    max_length_tokens: int = 128
    group_column: str | None = None
    converted: str | None = None
    """The folder of the hub's own Parquet conversion that is read, for data sets whose own files are a script, which
    ``datasets`` no longer runs."""
    note: str = ""

    @property
    def main_metric(self) -> str:
        return self.metrics[0]


@dataclass(frozen=True)
class _Source:
    hub_id: str | None
    licence: str
    citation: str
    hub_config: str | None = None
    converted: str | None = None
    note: str = ""


def _of_task(name: str, citation: str, licence: str, task: str | None = None, split: str = "validation") -> Suite:
    """The suite of a named task, from the same place on the hub and in the same columns."""
    row = TASKS[task or name]
    return Suite(
        name=name,
        kind=row.kind,
        hub_id=row.hub_id,
        hub_config=row.hub_config,
        split=row.splits.get(split, split),
        layout=row.layout,
        metrics=row.metrics,
        licence=licence,
        citation=citation,
        max_length_tokens=row.max_length_tokens,
    )


def _glue(name: str, citation: str) -> Suite:
    return _of_task(name, f"{citation}; Wang et al. 2019, arXiv:1804.07461", "other")


def _classification(
    name: str,
    source: _Source,
    columns: str,
    label_names: tuple[str, ...],
    split: str,
    max_length_tokens: int = 128,
    group_column: str | None = None,
) -> Suite:
    return Suite(
        name=name,
        kind=SEQUENCE_CLASSIFICATION,
        hub_id=source.hub_id,
        hub_config=source.hub_config,
        split=split,
        layout=Layout(text=tuple(columns.split()), label_names=label_names),
        metrics=("accuracy",),
        licence=source.licence,
        citation=source.citation,
        max_length_tokens=max_length_tokens,
        group_column=group_column,
        converted=source.converted,
        note=source.note,
    )


def _adv_glue(task: str) -> Suite:
    row = TASKS["mnli" if task == "mnli_mismatched" else task]
    source = _Source(ADV_GLUE, "cc-by-sa-4.0", "Wang et al. 2021, arXiv:2111.02840", hub_config=f"adv_{task}")
    return _classification(
        f"adv_{task}", source, " ".join(row.layout.text), row.layout.label_names, "validation", row.max_length_tokens
    )


def _anli(number: int, split: str, hub_split: str) -> Suite:
    return Suite(
        name=f"anli_r{number}_{split}",
        kind=SEQUENCE_CLASSIFICATION,
        hub_id="facebook/anli",
        hub_config=None,
        split=f"{hub_split}_r{number}",
        layout=TASKS["anli"].layout,
        metrics=("accuracy",),
        licence="cc-by-nc-4.0",
        citation="Nie et al. 2020, arXiv:1910.14599",
        max_length_tokens=TASKS["anli"].max_length_tokens,
    )


def _adversarial_squad(name: str, config: str) -> Suite:
    return Suite(
        name=name,
        kind=QUESTION_ANSWERING,
        hub_id="stanfordnlp/squad_adversarial",
        hub_config=config,
        split="validation",
        layout=TASKS["squad"].layout,
        metrics=TASKS["squad"].metrics,
        licence="mit",
        citation="Jia and Liang 2017, arXiv:1707.07328",
        max_length_tokens=TASKS["squad"].max_length_tokens,
        converted=config,
        note="rows whose id has a dash are attacked, the others are as in SQuAD; every row counts, while the paper "
        "takes the worst of a question's rows; the hub may lack the conversion: then give a file",
    )


def _choice(name: str, citation: str, licence: str, split: str = "validation") -> Suite:
    suite = _of_task(name, citation, licence, split=split)
    assert suite.kind is MULTIPLE_CHOICE
    return suite


_KAUSHIK = "Kaushik et al. 2020, arXiv:1909.12434"
_NO_HUB_COUNTERPART = "the copies on the hub mix or leave out the revised rows, or are scripts: give a file"

SUITES: Mapping[str, Suite] = {
    suite.name: suite
    for suite in (
        _glue("sst2", "Socher et al. 2013, ACL D13-1170"),
        _glue("cola", "Warstadt et al. 2019, arXiv:1805.12471"),
        _glue("mrpc", "Dolan and Brockett 2005, ACL I05-5002"),
        _glue("stsb", "Cer et al. 2017, arXiv:1708.00055"),
        _glue("qqp", "Iyer et al. 2017, Quora"),
        _glue("mnli", "Williams et al. 2018, arXiv:1704.05426"),
        _classification(
            "mnli_mismatched",
            _Source(
                GLUE,
                "other",
                "Williams et al. 2018, arXiv:1704.05426; Wang et al. 2019, arXiv:1804.07461",
                hub_config="mnli",
            ),
            "premise hypothesis",
            NLI,
            "validation_mismatched",
        ),
        _glue("qnli", "Rajpurkar et al. 2016, arXiv:1606.05250"),
        _glue("rte", "Dagan et al. 2006; Bar-Haim et al. 2006; Giampiccolo et al. 2007; Bentivogli et al. 2009"),
        _glue("wnli", "Levesque et al. 2012"),
        _of_task("snli", "Bowman et al. 2015, arXiv:1508.05326", "cc-by-sa-4.0", split="test"),
        *(_anli(number, name, hub) for number in (1, 2, 3) for name, hub in (("dev", "dev"), ("test", "test"))),
        _classification(
            "sick",
            _Source(
                "RobZamp/sick",
                "cc-by-nc-sa-3.0",
                "Marelli et al. 2014, ACL L14-1314",
                converted="default",
                note="the hub may lack the conversion: then give a file",
            ),
            "sentence_A sentence_B",
            NLI,
            "test",
        ),
        _classification(
            "hans",
            _Source("jhu-cogsci/hans", NOT_STATED, "McCoy et al. 2019, arXiv:1902.01007", converted="plain_text"),
            "premise hypothesis",
            ("entailment", "non-entailment"),
            "validation",
            group_column="heuristic",
        ),
        _classification(
            "breaking_nli",
            _Source("pietrolesci/breaking_nli", NOT_STATED, "Glockner et al. 2018, arXiv:1805.02266"),
            "sentence1 sentence2",
            NLI,
            "full",
            group_column="category",
        ),
        _classification(
            "cad_nli",
            _Source(None, NOT_STATED, _KAUSHIK, note=_NO_HUB_COUNTERPART),
            "premise hypothesis",
            NLI,
            "test",
        ),
        *map(_adv_glue, ("sst2", "qqp", "mnli", "mnli_mismatched", "qnli", "rte")),
        _classification(
            "paws",
            _Source(
                "google-research-datasets/paws",
                "other",
                "Zhang et al. 2019, arXiv:1904.01130",
                hub_config="labeled_final",
            ),
            "sentence1 sentence2",
            ("not_paraphrase", "paraphrase"),
            "test",
        ),
        _classification(
            "cad_imdb", _Source(None, NOT_STATED, _KAUSHIK, note=_NO_HUB_COUNTERPART), "text", SENTIMENT, "test", 512
        ),
        _classification(
            "imdb_contrast",
            _Source(
                None, NOT_STATED, "Gardner et al. 2020, arXiv:2004.02709", note="not found on the hub: give a file"
            ),
            "text",
            SENTIMENT,
            "test",
            512,
        ),
        _classification(
            "customer_reviews",
            _Source("SetFit/CR", NOT_STATED, "Hu and Liu 2004, doi:10.1145/1014052.1014073"),
            "text",
            SENTIMENT,
            "test",
        ),
        _of_task("squad", "Rajpurkar et al. 2016, arXiv:1606.05250", "cc-by-sa-4.0"),
        _adversarial_squad("squad_addsent", "AddSent"),
        _adversarial_squad("squad_addonesent", "AddOneSent"),
        _choice("swag", "Zellers et al. 2018, arXiv:1808.05326", NOT_STATED),
        _choice("hellaswag", "Zellers et al. 2019, arXiv:1905.07830", NOT_STATED),
        _choice("codah", "Chen et al. 2019, arXiv:1904.04365", "odc-by", split="test"),
        _choice("copa", "Roemmele et al. 2011; Wang et al. 2019, arXiv:1905.00537", "other"),
    )
}


def suite_named(name: str) -> Suite:
    """The row of `SUITES`; raises `InputError`, with the nearest name, for an unknown one."""
    if name not in SUITES:
        raise unknown_name("suite", name, SUITES)
    return SUITES[name]
