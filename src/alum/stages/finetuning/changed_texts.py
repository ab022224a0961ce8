"""Texts of the training rows, kept beside what is encoded of them for an adversary that changes texts."""

import itertools

from datasets import Dataset

from alum.core.errors import InputError
from alum.models.tokenization import Tokenization
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.config import FinetuneConfig
from alum.stages.finetuning.task_data import TaskData
from alum.stages.word_sources import check_word_sources, word_sources
from alum.training.parts.drawn_texts import RowTexts, check_compares_rows


def check_sources_of_words(arguments: FinetuneArguments, config: FinetuneConfig) -> None:
    """Raises `InputError` for sources of words that changes of texts lack, or that are named for none."""
    if config.method().changes_text:
        check_word_sources(arguments, config.adv_text_change_names)
        return
    for name in ("masked_lm", "wordnet_dir", "misspellings"):
        if getattr(arguments, name) is not None:
            raise InputError(f"{name} is for changes of texts: choose adv_space text or both, or leave it out.")


def check_rows_are_compared(config: FinetuneConfig, data: TaskData) -> None:
    """Raises `InputError` where texts are changed and models of the task answer for places in them."""
    if (method := config.method()).changes_text:
        check_compares_rows(data.supervision.kind, method.space)


def kept_texts(
    arguments: FinetuneArguments,
    config: FinetuneConfig,
    data: TaskData,
    features: dict[str, Dataset],
    tokenization: Tokenization,
) -> RowTexts | None:
    """Puts the texts of the training rows beside what was encoded of them; None where no text is changed.

    Raises `InputError` for changes that cannot be made to them, and for sources of words that cannot be loaded.
    """
    if not config.method().changes_text:
        return None
    rows = data.splits["train"]
    columns = list(zip(*data.supervision.examples(rows), strict=True))
    resources = word_sources(arguments, config.adv_text_change_names, itertools.chain(*columns))
    names = tuple(f"text {number}" for number in range(1, len(columns) + 1))
    for name, column in zip(names, columns, strict=True):
        features["train"] = features["train"].add_column(name, list(column))
    texts = RowTexts(
        names,
        lambda examples: data.supervision.encode_examples(examples, tokenization),
        resources,
        tokenization,
        rows.templates(),
    )
    texts.check(config.text_changes(resources))
    return texts
