"""Sequence classification: one label for a sentence or a pair, or several at once where the model says so."""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import torch
from datasets import Dataset
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef
from torch import Tensor
from transformers import AutoModelForSequenceClassification

from alum.core.divergences import bernoulli_symmetric_kl, symmetric_kl
from alum.core.errors import InputError
from alum.core.outputs.likelihoods import BERNOULLI, CATEGORICAL
from alum.core.outputs.log_odds import log_odds_against_all
from alum.models.inputs import Inputs
from alum.models.tokenization import Tokenization
from alum.tasks.base import (
    GatheredOutputs,
    Supervision,
    TaskKind,
    all_logits,
    first_output,
    log_odds_against_labels,
    logits_of,
)
from alum.tasks.labels import classes, label_ids, names_in
from alum.tasks.rows import TaskRows


def _log_odds(outputs: Any, inputs: Inputs) -> Tensor:
    """Log odds against all labels of an example being right together."""
    against_yes = -logits_of(outputs).float()
    return log_odds_against_all(torch.where(inputs["labels"] > 0.5, against_yes, -against_yes).unbind(-1))


# For models of this problem type in a trainer of one's own; its labels have no single column to be read from.
MULTI_LABEL_CLASSIFICATION = TaskKind(
    name="multi_label_classification",
    compared=all_logits,
    compares_rows=True,
    distance=bernoulli_symmetric_kl,
    likelihood=BERNOULLI,
    example_losses=_log_odds,
)


SEQUENCE_CLASSIFICATION = TaskKind(
    name="sequence_classification",
    compared=all_logits,
    compares_rows=True,
    distance=symmetric_kl,
    likelihood=CATEGORICAL,
    example_losses=log_odds_against_labels,
)


class ClassificationSupervision(Supervision):
    """Sequence classification as a task: one label out of several for a text or a pair."""

    kind = SEQUENCE_CLASSIFICATION
    auto_class: type = AutoModelForSequenceClassification
    user_kinds = MappingProxyType({"sentence_classification": 1, "pair_classification": 2})
    main_metric = "accuracy"
    pipeline_tag = "text-classification"

    def usage(self, model: str, num_texts: int) -> str:
        return f"""
from transformers import pipeline

classify = pipeline("text-classification", {model})
print(classify({one_or_two_texts(num_texts)}))
"""

    def label_names(self, rows: TaskRows) -> tuple[str, ...]:
        return names_in(rows)

    def head(self, label_names: tuple[str, ...]) -> dict[str, Any]:
        if len(label_names) < 2:
            raise InputError(f"classification needs at least two labels, but the data has {list(label_names)}.")
        return {**classes(label_names), "problem_type": "single_label_classification"}

    def encode(self, rows: TaskRows, tokenization: Tokenization) -> Dataset:
        features = encode_texts(rows, tokenization)
        if rows.has_labels:
            features["labels"] = label_ids(rows)
        return Dataset.from_dict(features)

    def predict(self, outputs: GatheredOutputs, features: Dataset, rows: TaskRows) -> list[Any]:
        return [rows.label_names[i] for i in first_output(outputs).argmax(-1)]

    def score(self, predictions: Sequence[Any], rows: TaskRows) -> dict[str, float]:
        gold = label_ids(rows)
        found = [rows.label_names.index(name) for name in predictions]
        scores = {
            "accuracy": accuracy_score(gold, found),
            "f1_macro": f1_score(gold, found, average="macro", zero_division=0.0),
            "matthews_correlation": matthews_corrcoef(gold, found),
        }
        if len(rows.label_names) == 2:
            scores["f1"] = f1_score(gold, found, zero_division=0.0)
        return {name: float(value) for name, value in scores.items()}

    def row_scores(self, predictions: Sequence[Any], rows: TaskRows) -> dict[str, list[float]]:
        gold = label_ids(rows)
        pairs = zip(predictions, gold, strict=True)
        return {"accuracy": [float(name == rows.label_names[label]) for name, label in pairs]}


def one_or_two_texts(num_texts: int) -> str:
    """Python for a made-up text, or a pair of them, as the pipeline for text classification takes it."""
    pair = '{"text": "A bright and funny film.", "text_pair": "It is worth seeing."}'
    return pair if num_texts == 2 else '"A bright and funny film."'


def encode_texts(rows: TaskRows, tokenization: Tokenization) -> dict[str, list[Any]]:
    """Tokenizes the text column, or two of them as pairs.

    Raises `InputError` for more of them, or none, and, with the row, for text of which no token is left.
    """
    columns = rows.layout.text
    if len(columns) not in (1, 2):
        raise InputError(f"expected one text column, or two for pairs, not {len(columns)}: {columns}.")
    tokenization.require_room(len(columns))
    features = dict(tokenization(*rows.texts()))
    for index, ids in enumerate(features["input_ids"]):
        if not ids:
            raise rows.error(index, f"column {' and '.join(map(repr, columns))} holds nothing that becomes a token")
    return features
