"""Suites: splits of published data sets that models are measured on, a row each."""

from collections.abc import Mapping
from dataclasses import dataclass

from alum.tasks.named import TASKS
from alum.tasks.sources import SOURCES, Source


@dataclass(frozen=True)
class Suite:
    """Split of a published data set to measure models on; ``split`` is the data set's own name for it."""

    name: str
    source: Source
    split: str = "validation"
    group_column: str | None = None
    """Column that sorts the rows into groups, whose scores are also given apart."""
    cluster_columns: tuple[str, ...] = ()
    """Columns whose values rows share that are no independent tries: a context, a premise, a template, a pair."""
    variant_column: str | None = None
    """Column of names such as ``5733-turk0``: rows of one name before the dash are variants."""


def _of(split: str, *names: str) -> tuple[Suite, ...]:
    """Suites that are called as the data set is."""
    return tuple(Suite(name, SOURCES[name], split) for name in names)


SUITES: Mapping[str, Suite] = {
    suite.name: suite
    for suite in (
        *_of("validation", "sst2", "cola", "mrpc", "stsb", "qqp"),
        Suite("mnli", SOURCES["mnli"], "validation_matched"),
        Suite("mnli_mismatched", SOURCES["mnli"], "validation_mismatched"),
        *_of("validation", "qnli", "rte", "wnli"),
        Suite("snli", SOURCES["snli"], "test", cluster_columns=("premise",)),
        *(
            Suite(f"anli_r{n}_{split}", SOURCES["anli"], f"{split}_r{n}", cluster_columns=("premise",))
            for n in "123"
            for split in ("dev", "test")
        ),
        *_of("test", "sick"),
        Suite("hans", SOURCES["hans"], group_column="heuristic", cluster_columns=("template",)),
        Suite("breaking_nli", SOURCES["breaking_nli"], "full", group_column="category", cluster_columns=("sentence1",)),
        Suite("cad_nli", SOURCES["cad_nli"], "test", cluster_columns=("premise", "hypothesis")),
        *_of("validation", "adv_sst2", "adv_qqp", "adv_mnli", "adv_mnli_mismatched", "adv_qnli", "adv_rte"),
        *_of("test", "paws"),
        # The published files of original beside revised reviews number their pairs.
        Suite("cad_imdb", SOURCES["cad_imdb"], "test", cluster_columns=("batch_id",)),
        *_of("test", "imdb_contrast", "customer_reviews"),
        Suite("squad", SOURCES["squad"], cluster_columns=("context",)),
        *(
            Suite(name, SOURCES[name], cluster_columns=("title",), variant_column="id")
            for name in ("squad_addsent", "squad_addonesent")
        ),
        *_of("validation", "swag", "hellaswag"),
        *_of("test", "codah"),
        *_of("validation", "copa"),
    )
}


def suite_at_a_path(name: str) -> Suite | None:
    """Suite whose rows are given by their path: one of `SUITES`, or any named task; None for other names."""
    if name in SUITES or name not in TASKS:
        return SUITES.get(name)
    source = TASKS[name].source
    columns = next((suite.cluster_columns for suite in SUITES.values() if suite.source.name == source.name), ())
    return Suite(name, source, "test", cluster_columns=columns)
