"""One of several continuations of a context, or answers to it, as in SWAG, HellaSwag, CODAH and COPA."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import AutoModelForMultipleChoice, DataCollatorWithPadding, PreTrainedTokenizerBase

from alum.core.divergences import symmetric_kl
from alum.core.errors import InputError
from alum.data.table import Table
from alum.tasks.base import Layout, Outputs, TaskKind, all_logits, cross_entropies, first_output

_LABELS = ("labels", "label")


class MultipleChoiceSupervision:
    """A row's feature holds every choice beside the context: ``input_ids`` is ``[choices][tokens]``.

    The first text column is the context, the second, if there is one, the start of every choice (``sent2`` of SWAG).
    """

    main_metric = "accuracy"

    def label_names(self, table: Table, layout: Layout) -> tuple[str, ...]:
        return ()

    def head(self, label_names: tuple[str, ...]) -> dict[str, Any]:
        return {}

    def encode(
        self, table: Table, layout: Layout, tokenizer: PreTrainedTokenizerBase, max_length_tokens: int
    ) -> Dataset:
        rows = contexts_and_choices(table, layout)
        count = len(rows[0][1])
        pairs = tokenizer(
            [context for context, choices in rows for _ in choices],
            [choice for _, choices in rows for choice in choices],
            truncation=True,
            max_length=max_length_tokens,
        )
        features = {
            name: [values[i : i + count] for i in range(0, len(values), count)] for name, values in pairs.items()
        }
        if layout.label in table.rows.column_names:
            features["labels"] = right_choices(table, layout)
        return Dataset.from_dict(features)

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
        return PaddedChoices(tokenizer)

    def gathered(self, logits: Any, labels: Any) -> Any:
        return logits

    def predict(self, outputs: Outputs, features: Dataset, table: Table, layout: Layout) -> list[Any]:
        return [int(index) for index in first_output(outputs).argmax(-1)]

    def score(self, predictions: Sequence[Any], table: Table, layout: Layout) -> dict[str, float]:
        return {"accuracy": float(np.mean(self.row_scores(predictions, table, layout)["accuracy"]))}

    def row_scores(self, predictions: Sequence[Any], table: Table, layout: Layout) -> dict[str, list[float]]:
        gold = right_choices(table, layout)
        return {"accuracy": [float(found == label) for found, label in zip(predictions, gold, strict=True)]}


@dataclass(frozen=True)
class PaddedChoices:
    """Pads features to ``[batch, choices, length]``, with labels ``[batch]`` if they have any.

    Differs from transformers' DataCollatorForMultipleChoice, which cannot do without labels.
    """

    tokenizer: PreTrainedTokenizerBase

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        names = [name for name in features[0] if name not in _LABELS]
        labels = [feature[name] for feature in features for name in _LABELS if name in feature]
        count = len(features[0]["input_ids"])
        flat = [{name: feature[name][i] for name in names} for feature in features for i in range(count)]
        pad = DataCollatorWithPadding(self.tokenizer)
        batch = {name: values.view(len(features), count, -1) for name, values in pad(flat).items()}
        return {**batch, "labels": torch.tensor(labels)} if labels else batch


def contexts_and_choices(table: Table, layout: Layout) -> list[tuple[str, list[str]]]:
    """The context of each row and its choices, as the model reads them; raises `InputError`, with the row."""
    if len(layout.text) not in (1, 2):
        raise InputError(
            "multiple choice takes one text column, or two where the second starts every choice, not "
            f"{len(layout.text)}: {', '.join(layout.text)}."
        )
    table.require(layout.text)
    contexts = table.texts(layout.text[0])
    starts = table.texts(layout.text[1]) if len(layout.text) == 2 else [""] * len(table)
    return [
        (context, [f"{start} {choice}".strip() for choice in choices])
        for context, start, choices in zip(contexts, starts, _choices(table, layout), strict=True)
    ]


def _choices(table: Table, layout: Layout) -> list[list[str]]:
    """The choices of each row, as many in every one; raises `InputError`, with the row, where they are not."""
    if not layout.choices:
        raise InputError(
            "multiple choice needs the columns of the choices: one for each, or one that holds lists "
            "(--choice_columns ending0,ending1,ending2,ending3)."
        )
    table.require(layout.choices)
    if len(layout.choices) > 1:
        return [list(row) for row in zip(*(table.texts(column) for column in layout.choices), strict=True)]
    (column,) = layout.choices
    lists = table.column(column)
    for index, choices in enumerate(lists):
        if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
            raise table.error(index, f"column {column!r} must be a list of the choices' texts, not {choices!r}")
        if len(choices) < 2:
            raise table.error(index, f"column {column!r} must hold at least two choices, not {len(choices)}")
        if len(choices) != len(lists[0]):
            raise table.error(
                index,
                f"{len(choices)} choices in column {column!r}, but {len(lists[0])} in row {table.numbers[0]}: "
                "every row must have as many",
            )
    return lists


def right_choices(table: Table, layout: Layout) -> list[int]:
    """The right choices' numbers, which may be written as text, as in HellaSwag; raises `InputError`, with the row."""
    count = len(_choices(table, layout)[0])
    labels = []
    for index, value in enumerate(table.column(layout.label)):
        written = isinstance(value, str) and value.strip().isdecimal()
        label = int(value) if written or (isinstance(value, int) and not isinstance(value, bool)) else -1
        if not 0 <= label < count:
            raise table.error(
                index,
                f"label {value!r} in column {layout.label!r} is not the number of one of the {count} choices, "
                f"0 to {count - 1}",
            )
        labels.append(label)
    return labels


MULTIPLE_CHOICE = TaskKind(
    name="multiple_choice",
    auto_class=AutoModelForMultipleChoice,
    compared=all_logits,
    distance=symmetric_kl,
    supervision=MultipleChoiceSupervision(),
    example_losses=cross_entropies,
)
