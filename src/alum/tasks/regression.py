"""A number for a sentence or a pair, such as the similarity of STS-B."""

from typing import Any

import numpy as np
from scipy.stats import pearsonr, spearmanr
from torch import Tensor
from transformers import AutoModelForSequenceClassification

from alum.core.divergences import squared_error
from alum.tasks.kind import Inputs, TaskKind, logits_of


def _compared(outputs: Any, inputs: Inputs) -> Tensor:
    return logits_of(outputs)


def _metrics(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    predictions, labels = logits.reshape(len(logits), -1)[:, 0], labels.reshape(len(labels), -1)[:, 0]
    metrics = {"mse": float(np.mean((predictions - labels) ** 2))}
    if len(labels) > 1 and np.ptp(predictions) > 0 and np.ptp(labels) > 0:
        metrics["pearson"] = float(pearsonr(predictions, labels).statistic)
        metrics["spearman"] = float(spearmanr(predictions, labels).statistic)
    else:  # no correlation is defined: one row, or all the same
        metrics["pearson"] = metrics["spearman"] = 0.0
    return metrics


REGRESSION = TaskKind(
    name="regression",
    auto_class=AutoModelForSequenceClassification,
    compared=_compared,
    distance=squared_error,
    metrics=_metrics,
    main_metric="pearson",
)
