"""Table of published data sets: place on the hub, columns, kind of task, metrics of the literature, citation.

A row each, which named tasks and suites of the same data share. Nothing here needs torch: lists of it print at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from alum.tasks.layout import Layout, Wording

NOT_STATED = "not stated"
NLI = ("entailment", "neutral", "contradiction")
SENTIMENT = ("negative", "positive")


@dataclass(frozen=True)
class Source:
    """Published data set: its place on the hub, its columns, and how it is used as a task.

    ``metrics`` are those that the literature reports, the main one first. ``licence`` is what the data set's card on
    the hub says, where there is one.
    """

    name: str
    kind: str
    """Name of a supervised kind of task (`alum.tasks.lookup.SUPERVISED`)."""
    layout: Layout
    hub_id: str | None
    """Id on the hub; None for data that is not there in a form that loads, and has to be given as a file."""
    hub_config: str | None = None
    converted: str | None = None
    """Folder of the hub's Parquet conversion, read where a data set is a script, which ``datasets`` no longer runs."""
    metrics: tuple[str, ...] = ("accuracy",)
    max_length_tokens: int = 128
    licence: str = NOT_STATED
    citation: str = ""
    note: str = ""

    @property
    def on_hub(self) -> str:
        """Id and configuration on the hub, joined for people to read; empty for data that is not there."""
        return "/".join(filter(None, (self.hub_id, self.hub_config)))


_GLUE = "nyu-mll/glue"
_WANG = "Wang et al. 2019, arXiv:1804.07461"
_KAUSHIK = "Kaushik et al. 2020, arXiv:1909.12434"
_NO_HUB_COUNTERPART = "the copies on the hub mix or leave out the revised rows, or are scripts: give a file"
_MAYBE_NOT_CONVERTED = "the hub may lack the conversion: then give a file"
_PAIR = Layout(text=("premise", "hypothesis"), label_names=NLI)
_SQUAD = Layout(text=("question", "context"), label="answers")


def _named(text: str, *label_names: str) -> Layout:
    """Text columns, with spaces between them, and label names in the order of the data set's integers."""
    return Layout(text=tuple(text.split()), label_names=label_names)


def _glue(name: str, layout: Layout, citation: str, *metrics: str) -> Source:
    """Metrics are those of GLUE's leaderboard (Wang et al. 2019)."""
    return Source(
        name,
        "sequence_classification",
        layout,
        _GLUE,
        name,
        metrics=metrics or ("accuracy",),
        licence="other",
        citation=f"{citation}; {_WANG}",
    )


def _adversarial_glue(name: str, layout: Layout, *metrics: str) -> Source:
    return Source(
        f"adv_{name}",
        "sequence_classification",
        layout,
        "AI-Secure/adv_glue",
        f"adv_{name}",
        metrics=metrics or ("accuracy",),
        licence="cc-by-sa-4.0",
        citation="Wang et al. 2021, arXiv:2111.02840",
    )


def _squad(name: str, hub_id: str, citation: str, licence: str = NOT_STATED) -> Source:
    return Source(
        name,
        "question_answering",
        _SQUAD,
        hub_id,
        metrics=("f1", "exact_match"),
        max_length_tokens=384,
        licence=licence,
        citation=citation,
    )


def _adversarial_squad(name: str, config: str) -> Source:
    return Source(
        name,
        "question_answering",
        _SQUAD,
        "stanfordnlp/squad_adversarial",
        config,
        converted=config,
        metrics=("f1", "exact_match"),
        max_length_tokens=384,
        licence="mit",
        citation="Jia and Liang 2017, arXiv:1707.07328",
        note="rows whose id has a dash are attacked, the others are as in SQuAD; every row counts, while the paper "
        "takes the worst of a question's rows; the hub may lack the conversion: then give a file",
    )


def _tagging(name: str, hub_id: str, entities: str) -> Source:
    tags = ("O", *(f"{mark}-{entity}" for entity in entities.split() for mark in "BI"))
    layout = Layout(text=("tokens",), label="ner_tags", label_names=tags)
    return Source(name, "token_classification", layout, hub_id, metrics=("f1", "precision", "recall"))


_SST2 = _named("sentence", "negative", "positive")
_QQP = _named("question1 question2", "not_duplicate", "duplicate")
_QNLI = _named("question sentence", "entailment", "not_entailment")
_RTE = _named("sentence1 sentence2", "entailment", "not_entailment")

_ROWS = (
    _glue(
        "cola",
        _named("sentence", "unacceptable", "acceptable"),
        "Warstadt et al. 2019, arXiv:1805.12471",
        "matthews_correlation",
    ),
    _glue("sst2", _SST2, "Socher et al. 2013, ACL D13-1170"),
    _glue(
        "mrpc",
        _named("sentence1 sentence2", "not_equivalent", "equivalent"),
        "Dolan and Brockett 2005, ACL I05-5002",
        "f1",
        "accuracy",
    ),
    Source(
        "stsb",
        "regression",
        Layout(text=("sentence1", "sentence2")),
        _GLUE,
        "stsb",
        metrics=("pearson", "spearman"),
        licence="other",
        citation=f"Cer et al. 2017, arXiv:1708.00055; {_WANG}",
    ),
    _glue("qqp", _QQP, "Iyer et al. 2017, Quora", "f1", "accuracy"),
    _glue("mnli", _PAIR, "Williams et al. 2018, arXiv:1704.05426"),
    _glue("qnli", _QNLI, "Rajpurkar et al. 2016, arXiv:1606.05250"),
    _glue("rte", _RTE, "Dagan et al. 2006; Bar-Haim et al. 2006; Giampiccolo et al. 2007; Bentivogli et al. 2009"),
    _glue("wnli", _named("sentence1 sentence2", "not_entailment", "entailment"), "Levesque et al. 2012"),
    Source(
        "snli",
        "sequence_classification",
        _PAIR,
        "stanfordnlp/snli",
        licence="cc-by-sa-4.0",
        citation="Bowman et al. 2015, arXiv:1508.05326",
    ),
    Source(
        "scitail",
        "sequence_classification",
        _named("premise hypothesis", "entails", "neutral"),
        "allenai/scitail",
        "tsv_format",
    ),
    Source(
        "anli",
        "sequence_classification",
        _PAIR,
        "facebook/anli",
        max_length_tokens=256,
        licence="cc-by-nc-4.0",
        citation="Nie et al. 2020, arXiv:1910.14599",
    ),
    Source(
        "sick",
        "sequence_classification",
        _named("sentence_A sentence_B", *NLI),
        "RobZamp/sick",
        converted="default",
        licence="cc-by-nc-sa-3.0",
        citation="Marelli et al. 2014, ACL L14-1314",
        note=_MAYBE_NOT_CONVERTED,
    ),
    Source("imdb", "sequence_classification", _named("text", *SENTIMENT), "stanfordnlp/imdb", max_length_tokens=512),
    _squad("squad", "rajpurkar/squad", "Rajpurkar et al. 2016, arXiv:1606.05250", "cc-by-sa-4.0"),
    _squad("squad_v2", "rajpurkar/squad_v2", ""),
    Source(
        "swag",
        "multiple_choice",
        Layout(text=("sent1", "sent2"), choices=("ending0", "ending1", "ending2", "ending3")),
        "allenai/swag",
        "regular",
        citation="Zellers et al. 2018, arXiv:1808.05326",
    ),
    Source(
        "hellaswag",
        "multiple_choice",
        Layout(text=("ctx_a", "ctx_b"), choices=("endings",)),
        "Rowan/hellaswag",
        citation="Zellers et al. 2019, arXiv:1905.07830",
    ),
    Source(
        "codah",
        "multiple_choice",
        Layout(text=("question_propmt",), choices=("candidate_answers",), label="correct_answer_idx"),
        "jaredfern/codah",
        "fold_0",
        licence="odc-by",
        citation="Chen et al. 2019, arXiv:1904.04365",
    ),
    Source(
        "copa",
        "multiple_choice",
        Layout(
            text=("premise", "question"),
            choices=("choice1", "choice2"),
            wordings=(
                Wording("question", "cause", "What was the cause?"),
                Wording("question", "effect", "What happened as a result?"),
            ),
        ),
        "aps/super_glue",
        "copa",
        licence="other",
        citation="Roemmele et al. 2011; Wang et al. 2019, arXiv:1905.00537",
    ),
    _tagging("conll2003", "eriktks/conll2003", "PER ORG LOC MISC"),
    _tagging("wnut_17", "leondz/wnut_17", "corporation creative-work group location person product"),
    # -- data to measure on alone --
    Source(
        "hans",
        "sequence_classification",
        _named("premise hypothesis", "entailment", "non-entailment"),
        "jhu-cogsci/hans",
        converted="plain_text",
        citation="McCoy et al. 2019, arXiv:1902.01007",
    ),
    Source(
        "breaking_nli",
        "sequence_classification",
        _named("sentence1 sentence2", *NLI),
        "pietrolesci/breaking_nli",
        citation="Glockner et al. 2018, arXiv:1805.02266",
    ),
    Source("cad_nli", "sequence_classification", _PAIR, None, citation=_KAUSHIK, note=_NO_HUB_COUNTERPART),
    _adversarial_glue("sst2", _SST2),
    _adversarial_glue("qqp", _QQP, "accuracy", "f1"),
    _adversarial_glue("mnli", _PAIR),
    _adversarial_glue("mnli_mismatched", _PAIR),
    _adversarial_glue("qnli", _QNLI),
    _adversarial_glue("rte", _RTE),
    Source(
        "paws",
        "sequence_classification",
        _named("sentence1 sentence2", "not_paraphrase", "paraphrase"),
        "google-research-datasets/paws",
        "labeled_final",
        licence="other",
        citation="Zhang et al. 2019, arXiv:1904.01130",
    ),
    Source(
        "cad_imdb",
        "sequence_classification",
        _named("text", *SENTIMENT),
        None,
        max_length_tokens=512,
        citation=_KAUSHIK,
        note=_NO_HUB_COUNTERPART,
    ),
    Source(
        "imdb_contrast",
        "sequence_classification",
        _named("text", *SENTIMENT),
        None,
        max_length_tokens=512,
        citation="Gardner et al. 2020, arXiv:2004.02709",
        note="not found on the hub: give a file",
    ),
    Source(
        "customer_reviews",
        "sequence_classification",
        _named("text", *SENTIMENT),
        "SetFit/CR",
        citation="Hu and Liu 2004, doi:10.1145/1014052.1014073",
    ),
    _adversarial_squad("squad_addsent", "AddSent"),
    _adversarial_squad("squad_addonesent", "AddOneSent"),
)

SOURCES: Mapping[str, Source] = {source.name: source for source in _ROWS}
