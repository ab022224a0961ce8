"""Texts of the training rows, kept beside what is encoded of them for an adversary that changes texts."""

import itertools

from datasets import Dataset

from alum.core.errors import InputError
from alum.models.tokenization import Tokenization
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.config import FinetuneConfig
from alum.stages.finetuning.task_data import TaskData
from alum.stages.word_sources import word_sources
from alum.training.parts.drawn_texts import RowTexts, check_compares_rows


def kept_texts(
    arguments: FinetuneArguments,
    config: FinetuneConfig,
    data: TaskData,
    features: dict[str, Dataset],
    tokenization: Tokenization,
) -> RowTexts | None:
    """Puts the texts of the training rows beside what was encoded of them; None where no text is changed.

    Raises `InputError` for changes that cannot be made to them, and for sources of words without effect.
    """
    method = config.method()
    if not method.changes_text:
        for name in ("masked_lm", "wordnet_dir"):
            if getattr(arguments, name) is not None:
                raise InputError(f"{name} is for changes of texts: choose adv_space text or both, or leave it out.")
        return None
    check_compares_rows(data.supervision.kind, method.space)
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
