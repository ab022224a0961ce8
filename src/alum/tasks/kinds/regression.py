"""A number for a sentence or a pair, such as the similarity of STS-B."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from datasets import Dataset
from scipy.stats import pearsonr, spearmanr
from torch import Tensor
from transformers import AutoModelForSequenceClassification, DataCollatorWithPadding, PreTrainedTokenizerBase

from alum.core.divergences import squared_error
from alum.data.table import Table
from alum.tasks.base import Inputs, Layout, Outputs, TaskKind, all_logits, first_output, logits_of
from alum.tasks.kinds.sequence_classification import encode_texts


class RegressionSupervision:
    main_metric = "pearson"

    def label_names(self, table: Table, layout: Layout) -> tuple[str, ...]:
        return ()

    def head(self, label_names: tuple[str, ...]) -> dict[str, Any]:
        return {"num_labels": 1, "problem_type": "regression"}

    def encode(
        self, table: Table, layout: Layout, tokenizer: PreTrainedTokenizerBase, max_length_tokens: int
    ) -> Dataset:
        features = encode_texts(table, layout, tokenizer, max_length_tokens)
        if layout.label in table.rows.column_names:
            features["labels"] = numbers_in(table, layout)
        return Dataset.from_dict(features)

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
        return DataCollatorWithPadding(tokenizer)

    def gathered(self, logits: Any, labels: Any) -> Any:
        return logits

    def predict(self, outputs: Outputs, features: Dataset, table: Table, layout: Layout) -> list[Any]:
        return [float(value) for value in first_output(outputs).reshape(len(features), -1)[:, 0]]

    def score(self, predictions: Sequence[Any], table: Table, layout: Layout) -> dict[str, float]:
        found, gold = np.array(predictions), np.array(numbers_in(table, layout))
        scores = {"mse": float(np.mean((found - gold) ** 2)), "pearson": 0.0, "spearman": 0.0}
        if len(gold) > 1 and np.ptp(found) > 0 and np.ptp(gold) > 0:  # else no correlation is defined
            scores["pearson"] = float(pearsonr(found, gold).statistic)
            scores["spearman"] = float(spearmanr(found, gold).statistic)
        return scores

    def row_scores(self, predictions: Sequence[Any], table: Table, layout: Layout) -> dict[str, list[float]]:
        pairs = zip(predictions, numbers_in(table, layout), strict=True)
        return {"squared_error": [float((found - gold) ** 2) for found, gold in pairs]}


def within_tolerance(squared_errors: Sequence[float], tolerance: float) -> list[float]:
    """For each row 1 if its error is ``tolerance`` at most, else 0: a regressor's accuracy, where one is needed.

    >>> within_tolerance([0.25, 1.0], tolerance=0.5)
    [1.0, 0.0]
    """
    return [float(math.sqrt(error) <= tolerance) for error in squared_errors]


def _squared_errors(outputs: Any, inputs: Inputs) -> Tensor:
    labels: Tensor = inputs["labels"]
    return (logits_of(outputs).float().squeeze(-1) - labels.float()).square()


def numbers_in(table: Table, layout: Layout) -> list[float]:
    """The labels; raises `InputError`, with the row, for one that is no number."""
    numbers: list[float] = []
    for index, value in enumerate(table.column(layout.label)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise table.error(index, f"label {value!r} in column {layout.label!r} is no number")
        numbers.append(float(value))
    return numbers


REGRESSION = TaskKind(
    name="regression",
    auto_class=AutoModelForSequenceClassification,
    compared=all_logits,
    distance=squared_error,
    supervision=RegressionSupervision(),
    example_losses=_squared_errors,
)
