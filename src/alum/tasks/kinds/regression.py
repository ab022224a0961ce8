"""Regression: a number for a sentence or a pair, such as the similarity of STS-B."""

import math
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from datasets import Dataset
from scipy.stats import pearsonr, spearmanr
from torch import Tensor
from transformers import AutoModelForSequenceClassification

from alum.core.divergences import squared_error
from alum.core.outputs.likelihoods import GAUSSIAN
from alum.data.values import number
from alum.models.inputs import Inputs
from alum.models.tokenization import Tokenization
from alum.tasks.base import GatheredOutputs, Supervision, TaskKind, all_logits, first_output, logits_of
from alum.tasks.kinds.sequence_classification import encode_texts, one_or_two_texts
from alum.tasks.rows import TaskRows


def _squared_errors(outputs: Any, inputs: Inputs) -> Tensor:
    labels: Tensor = inputs["labels"]
    return (logits_of(outputs).float().squeeze(-1) - labels.float()).square()


REGRESSION = TaskKind(
    name="regression",
    compared=all_logits,
    compares_rows=True,
    distance=squared_error,
    likelihood=GAUSSIAN,
    example_losses=_squared_errors,
)


class RegressionSupervision(Supervision):
    """Regression as a task: one number for a text or a pair."""

    kind = REGRESSION
    auto_class = AutoModelForSequenceClassification
    user_kinds = MappingProxyType({"regression": 0})
    main_metric = "pearson"
    pipeline_tag = "text-classification"

    def usage(self, model: str, num_texts: int) -> str:
        return f"""
from transformers import pipeline

rate = pipeline("text-classification", {model}, function_to_apply="none")
print(rate({one_or_two_texts(num_texts)}))  # the number is called score
"""

    def head(self, label_names: tuple[str, ...]) -> dict[str, Any]:
        return {"num_labels": 1, "problem_type": "regression"}

    def encode(self, rows: TaskRows, tokenization: Tokenization) -> Dataset:
        features = encode_texts(rows, tokenization)
        if rows.has_labels:
            features["labels"] = numbers_in(rows)
        return Dataset.from_dict(features)

    def predict(self, outputs: GatheredOutputs, features: Dataset, rows: TaskRows) -> list[Any]:
        return [float(value) for value in first_output(outputs).reshape(len(features), -1)[:, 0]]

    def score(self, predictions: Sequence[Any], rows: TaskRows) -> dict[str, float]:
        found, gold = np.array(predictions), np.array(numbers_in(rows))
        scores = {"mse": float(np.mean((found - gold) ** 2)), "pearson": 0.0, "spearman": 0.0}
        if len(gold) > 1 and np.ptp(found) > 0 and np.ptp(gold) > 0:  # else no correlation is defined
            scores["pearson"] = float(pearsonr(found, gold).statistic)
            scores["spearman"] = float(spearmanr(found, gold).statistic)
        return scores

    def row_scores(self, predictions: Sequence[Any], rows: TaskRows) -> dict[str, list[float]]:
        pairs = zip(predictions, numbers_in(rows), strict=True)
        return {"squared_error": [float((found - gold) ** 2) for found, gold in pairs]}


def within_tolerance(squared_errors: Sequence[float], tolerance: float) -> list[float]:
    """Accuracy of a regressor by row: 1 where its error is at most ``tolerance``, else 0.

    >>> within_tolerance([0.25, 1.0], tolerance=0.5)
    [1.0, 0.0]
    """
    return [float(math.sqrt(error) <= tolerance) for error in squared_errors]


def numbers_in(rows: TaskRows) -> list[float]:
    """Labels of rows as numbers; raises `InputError`, with the row, for one that is no number."""
    numbers: list[float] = []
    for index, value in enumerate(rows.labels()):
        found = number(value)
        if found is None:
            raise rows.error(index, f"label {value!r} in column {rows.layout.label!r} is no number")
        numbers.append(found)
    return numbers
