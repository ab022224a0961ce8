"""One label for a sentence or a pair; several labels at once where the model says so."""

from collections.abc import Callable, Sequence
from typing import Any

import torch.nn.functional as F
from datasets import Dataset
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef
from torch import Tensor
from transformers import AutoModelForSequenceClassification, DataCollatorWithPadding, PreTrainedTokenizerBase

from alum.core.divergences import bernoulli_symmetric_kl, symmetric_kl
from alum.core.errors import InputError
from alum.data.table import Table
from alum.tasks.base import Inputs, Layout, Outputs, TaskKind, all_logits, cross_entropies, first_output, logits_of
from alum.tasks.labels import classes, label_ids, names_in


class ClassificationSupervision:
    main_metric = "accuracy"

    def label_names(self, table: Table, layout: Layout) -> tuple[str, ...]:
        return names_in(table, layout.label)

    def head(self, label_names: tuple[str, ...]) -> dict[str, Any]:
        if len(label_names) < 2:
            raise InputError(f"classification needs at least two labels, but the data has {list(label_names)}.")
        return {**classes(label_names), "problem_type": "single_label_classification"}

    def encode(
        self, table: Table, layout: Layout, tokenizer: PreTrainedTokenizerBase, max_length_tokens: int
    ) -> Dataset:
        features = encode_texts(table, layout, tokenizer, max_length_tokens)
        if layout.label in table.rows.column_names:
            features["labels"] = label_ids(table, layout)
        return Dataset.from_dict(features)

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
        return DataCollatorWithPadding(tokenizer)

    def gathered(self, logits: Any, labels: Any) -> Any:
        return logits

    def predict(self, outputs: Outputs, features: Dataset, table: Table, layout: Layout) -> list[Any]:
        return [layout.label_names[i] for i in first_output(outputs).argmax(-1)]

    def score(self, predictions: Sequence[Any], table: Table, layout: Layout) -> dict[str, float]:
        gold = label_ids(table, layout)
        found = [layout.label_names.index(name) for name in predictions]
        scores = {
            "accuracy": accuracy_score(gold, found),
            "f1_macro": f1_score(gold, found, average="macro", zero_division=0.0),
            "matthews_correlation": matthews_corrcoef(gold, found),
        }
        if len(layout.label_names) == 2:
            scores["f1"] = f1_score(gold, found, zero_division=0.0)
        return {name: float(value) for name, value in scores.items()}

    def row_scores(self, predictions: Sequence[Any], table: Table, layout: Layout) -> dict[str, list[float]]:
        gold = label_ids(table, layout)
        pairs = zip(predictions, gold, strict=True)
        return {"accuracy": [float(name == layout.label_names[label]) for name, label in pairs]}


def encode_texts(
    table: Table, layout: Layout, tokenizer: PreTrainedTokenizerBase, max_length_tokens: int
) -> dict[str, list[Any]]:
    """The tokens of the text column, or of the pair of columns."""
    if len(layout.text) not in (1, 2):
        raise InputError(f"expected one text column, or two for pairs, not {len(layout.text)}: {layout.text}.")
    table.require(layout.text)
    texts = [table.texts(column) for column in layout.text]
    return dict(tokenizer(*texts, truncation=True, max_length=max_length_tokens))


def _label_losses(outputs: Any, inputs: Inputs) -> Tensor:
    logits = logits_of(outputs).float()
    return F.binary_cross_entropy_with_logits(logits, inputs["labels"].float(), reduction="none").mean(-1)


SEQUENCE_CLASSIFICATION = TaskKind(
    name="sequence_classification",
    auto_class=AutoModelForSequenceClassification,
    compared=all_logits,
    distance=symmetric_kl,
    supervision=ClassificationSupervision(),
    example_losses=cross_entropies,
)

# For models of this problem type in a trainer of one's own; its labels have no single column to be read from.
MULTI_LABEL_CLASSIFICATION = TaskKind(
    name="multi_label_classification",
    auto_class=AutoModelForSequenceClassification,
    compared=all_logits,
    distance=bernoulli_symmetric_kl,
    example_losses=_label_losses,
)
