"""One label for a sentence or a pair; several labels at once where the model says so."""

from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, f1_score
from torch import Tensor
from transformers import AutoModelForSequenceClassification

from alum.core.divergences import bernoulli_symmetric_kl, symmetric_kl
from alum.tasks.kind import Inputs, TaskKind, logits_of


def _compared(outputs: Any, inputs: Inputs) -> Tensor:
    return logits_of(outputs)


def _metrics(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    predictions = logits.argmax(-1)
    return {
        "accuracy": float(accuracy_score(labels, predictions)),
        "f1_macro": float(f1_score(labels, predictions, average="macro", zero_division=0.0)),
    }


def _multi_label_metrics(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    predictions = logits > 0
    return {
        "accuracy": float(accuracy_score(labels > 0.5, predictions)),
        "f1_micro": float(f1_score(labels > 0.5, predictions, average="micro", zero_division=0.0)),
    }


SEQUENCE_CLASSIFICATION = TaskKind(
    name="sequence_classification",
    auto_class=AutoModelForSequenceClassification,
    compared=_compared,
    distance=symmetric_kl,
    metrics=_metrics,
    main_metric="accuracy",
)

MULTI_LABEL_CLASSIFICATION = TaskKind(
    name="multi_label_classification",
    auto_class=AutoModelForSequenceClassification,
    compared=_compared,
    distance=bernoulli_symmetric_kl,
    metrics=_multi_label_metrics,
    main_metric="f1_micro",
)
