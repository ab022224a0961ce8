"""Multiple choice among continuations of a context, or answers to it, as in SWAG, HellaSwag, CODAH and COPA."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import AutoModelForMultipleChoice, DataCollatorWithPadding, PreTrainedTokenizerBase

from alum.core.divergences import symmetric_kl
from alum.core.errors import InputError
from alum.core.outputs.likelihoods import CATEGORICAL
from alum.data.values import whole_number
from alum.models.tokenization import Tokenization
from alum.tasks.base import GatheredOutputs, Supervision, TaskKind, all_logits, first_output, log_odds_against_labels
from alum.tasks.rows import TaskRows

_LABELS = ("labels", "label")


MULTIPLE_CHOICE = TaskKind(
    name="multiple_choice",
    compared=all_logits,
    compares_rows=True,
    distance=symmetric_kl,
    likelihood=CATEGORICAL,
    example_losses=log_odds_against_labels,
)


class MultipleChoiceSupervision(Supervision):
    """Multiple choice as a task: a row's feature has the context beside every choice, ``[choices][tokens]``.

    The first text column is the context, the second, if there is one, the start of every choice (``sent2`` of SWAG).
    """

    kind = MULTIPLE_CHOICE
    auto_class = AutoModelForMultipleChoice
    user_kinds = MappingProxyType({"multiple_choice": 0})
    main_metric = "accuracy"
    pipeline_tag = "multiple-choice"

    def usage(self, model: str, num_texts: int) -> str:
        return f"""
from transformers import AutoModelForMultipleChoice, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained({model})
model = AutoModelForMultipleChoice.from_pretrained({model})
context, choices = "She opened the umbrella.", ["It had begun to rain.", "The soup was cold."]
inputs = tokenizer([context] * len(choices), choices, padding=True, return_tensors="pt")
logits = model(**{{name: values.unsqueeze(0) for name, values in inputs.items()}}).logits
print(choices[logits.argmax(-1).item()])
"""

    def encode(self, rows: TaskRows, tokenization: Tokenization) -> Dataset:
        tokenization.require_room(2)
        features = self.encode_examples(self.examples(rows), tokenization)
        if rows.has_labels:
            features["labels"] = right_choices(rows)
        return Dataset.from_dict(features)

    def examples(self, rows: TaskRows) -> list[tuple[str, ...]]:
        """Context of each row and its choices, as the model reads them."""
        return [(context, *choices) for context, choices in contexts_and_choices(rows)]

    def encode_examples(self, examples: Sequence[tuple[str, ...]], tokenization: Tokenization) -> dict[str, list[Any]]:
        count = len(examples[0]) - 1
        pairs = tokenization(
            [context for context, *choices in examples for _ in choices],
            [choice for _, *choices in examples for choice in choices],
        )
        return {name: [values[i : i + count] for i in range(0, len(values), count)] for name, values in pairs.items()}

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
        return PaddedChoices(tokenizer)

    def predict(self, outputs: GatheredOutputs, features: Dataset, rows: TaskRows) -> list[Any]:
        return [int(index) for index in first_output(outputs).argmax(-1)]

    def score(self, predictions: Sequence[Any], rows: TaskRows) -> dict[str, float]:
        return {"accuracy": float(np.mean(self.row_scores(predictions, rows)["accuracy"]))}

    def row_scores(self, predictions: Sequence[Any], rows: TaskRows) -> dict[str, list[float]]:
        gold = right_choices(rows)
        return {"accuracy": [float(found == label) for found, label in zip(predictions, gold, strict=True)]}


@dataclass(frozen=True)
class PaddedChoices:
    """Pads features of multiple choice to ``[batch, choices, length]``, with labels ``[batch]`` if they have any.

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


def contexts_and_choices(rows: TaskRows) -> list[tuple[str, list[str]]]:
    """Context of each row and its choices, as the model reads them.

    Raises `InputError`, with the row where it is one row's fault, for columns that do not hold them.
    """
    if len(rows.layout.text) not in (1, 2):
        raise InputError(
            "multiple choice takes one text column, or two where the second starts every choice, not "
            f"{len(rows.layout.text)}: {', '.join(rows.layout.text)}."
        )
    contexts, *others = rows.texts()
    starts = others[0] if others else [""] * len(rows)
    return [
        (context, [f"{start} {choice}".strip() for choice in choices])
        for context, start, choices in zip(contexts, starts, _choices(rows), strict=True)
    ]


def _choices(rows: TaskRows) -> list[list[str]]:
    """The choices of each row, as many in every one; raises `InputError`, with the row, where they are not."""
    if not rows.layout.choices:
        raise InputError(
            "multiple choice needs the columns of the choices: one for each, or one that holds lists "
            "(--choice_columns ending0,ending1,ending2,ending3)."
        )
    rows.table.require(rows.layout.choices)
    if len(rows.layout.choices) > 1:
        return [list(row) for row in zip(*(rows.table.texts(column) for column in rows.layout.choices), strict=True)]
    (column,) = rows.layout.choices
    lists = rows.table.column(column)
    for index, choices in enumerate(lists):
        if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
            raise rows.error(index, f"column {column!r} must be a list of the choices' texts, not {choices!r}")
        if len(choices) < 2:
            raise rows.error(index, f"column {column!r} must hold at least two choices, not {len(choices)}")
        if len(choices) != len(lists[0]):
            raise rows.error(
                index,
                f"{len(choices)} choices in column {column!r}, but {len(lists[0])} in row {rows.numbers[0]}: "
                "every row must have as many",
            )
    return lists


def right_choices(rows: TaskRows) -> list[int]:
    """Number of each row's right choice, counted from 0; it may be written as text, as in HellaSwag.

    Raises `InputError`, with the row, for a label that is none.
    """
    count = len(_choices(rows)[0])
    labels = []
    for index, value in enumerate(rows.labels()):
        label = whole_number(value.strip() if isinstance(value, str) else value)
        if label is None or not 0 <= label < count:
            raise rows.error(
                index,
                f"label {value!r} in column {rows.layout.label!r} is not the number of one of the {count} choices, "
                f"0 to {count - 1}",
            )
        labels.append(label)
    return labels
