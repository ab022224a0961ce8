"""Completions by causal language models in evaluation: which tokens are right, and how likely the right ones are."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from datasets import Dataset

from alum.core.divergences import IGNORED_LABEL
from alum.evaluation.kinds.base import EvaluatedKind
from alum.evaluation.scores.set_metrics import SetMetric
from alum.tasks.base import GatheredOutputs, first_output
from alum.tasks.kinds.completion import CompletionSupervision
from alum.tasks.rows import TaskRows

_LARGEST_NATS = 700.0  # of which the exponential is a number


class MeasuredCompletion(CompletionSupervision):
    """Completion of prompts, measured: predictions have also the ``nats`` by which a completion surprises the model."""

    def gathered(self, logits: Any, labels: Any) -> Any:
        """Of each next token, ``[batch, length - 1, 2]``, whether it is put first, and its negative log-likelihood."""
        right = super().gathered(logits, labels).float()
        is_ignored = right == IGNORED_LABEL
        nats = torch.full_like(right, IGNORED_LABEL)
        if labels is not None:
            log_probs = logits[:, :-1].float().log_softmax(-1)
            of_labels = log_probs.gather(-1, labels[:, 1:].clamp(min=0).unsqueeze(-1)).squeeze(-1)
            nats = torch.where(is_ignored, nats, -of_labels)
        return torch.stack((right, nats), dim=-1)

    def predict(self, outputs: GatheredOutputs, features: Dataset, rows: TaskRows) -> list[Any]:
        values = first_output(outputs)
        found = super().predict(values[..., 0], features, rows)
        nats = np.where(values[..., 0] == IGNORED_LABEL, 0.0, values[..., 1]).sum(1, dtype=np.float64)
        return [prediction and {**prediction, "nats": float(own)} for prediction, own in zip(found, nats, strict=True)]

    def score(self, predictions: Sequence[Any], rows: TaskRows) -> dict[str, float]:
        """Token accuracy and perplexity, both over the tokens of all completions: long ones weigh more."""
        return {**super().score(predictions, rows), "perplexity": _perplexity(_sums(predictions, "nats").sum(0)).item()}


class EvaluatedCompletion(EvaluatedKind):
    """Completion of prompts in evaluation, clean and with noise; completions are no single answers to turn."""

    further_metrics: ClassVar[tuple[str, ...]] = ("perplexity",)

    def set_metric(self, name: str, predictions: Sequence[Any], rows: TaskRows) -> SetMetric:
        if name == "perplexity":
            return SetMetric(_sums(predictions, "nats"), _perplexity, is_bounded=False, is_error=True)
        return SetMetric(_sums(predictions, "right_tokens"), lambda sums: sums[..., 0] / np.maximum(sums[..., 1], 1))


def _sums(predictions: Sequence[Any], name: str) -> np.ndarray:
    """Of each row what it adds up to, and its number of tokens, ``[rows, 2]``."""
    pairs = [(0, 0) if one is None else (one[name], one["completion_tokens"]) for one in predictions]
    return np.array(pairs, float).reshape(-1, 2)


def _perplexity(sums: np.ndarray) -> np.ndarray:
    """Exponential of the mean nats a token; 1 without a token."""
    return np.asarray(np.exp(np.minimum(sums[..., 0] / np.maximum(sums[..., 1], 1), _LARGEST_NATS)))
