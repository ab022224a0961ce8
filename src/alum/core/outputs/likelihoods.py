"""Distributions that a model's outputs stand for: the label they find most likely, one drawn from them, the loss at it.

Virtual directions ascend the loss at a label of the model's own (`alum.core.method_settings.Method.ascent`). What
counts of it is the direction of its gradient within an example, so losses here are scaled by constants that keep it
from vanishing in fp32 where a model is sure.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from alum.core.outputs.log_odds import log_odds_against, log_odds_against_all
from alum.core.outputs.rows import some_rows


@dataclass(frozen=True)
class Likelihood:
    """Labels of a model's own for outputs ``[items, ...]``, and the losses at such labels, ``[items]``."""

    predicted: Callable[[Tensor], Tensor]
    """Most likely label of each output."""
    sampled: Callable[[Tensor, Generator | None], Tensor]
    """A label drawn for each output."""
    loss: Callable[[Tensor, Tensor], Tensor]
    """Outputs and labels to a loss that has the direction of -log p: its gradient is that times a positive number an
    item, which does not vanish where the model is sure."""
    is_log_odds: bool = False
    """Whether that loss is the log odds against a label, whose softplus is -log p."""


# -- classes -----------------------------------------------------------------------------------------------------------


def _most_likely_class(logits: Tensor) -> Tensor:
    return logits.detach().argmax(-1)


def _sampled_class(logits: Tensor, generator: Generator | None) -> Tensor:
    flat = logits.detach().flatten(0, -2)
    labels = torch.empty(len(flat), dtype=torch.long, device=logits.device)
    for rows in some_rows(flat):
        labels[rows] = torch.multinomial(_drawable(flat[rows].float().softmax(-1)), 1, generator=generator).squeeze(-1)
    return labels.view(logits.shape[:-1])


def _drawable(probabilities: Tensor) -> Tensor:
    """Probabilities, uniform where they are no numbers: that step's term is left out, and drawing must not fail."""
    return torch.where(probabilities.isfinite().all(-1, keepdim=True), probabilities, 1.0)


def _log_odds_against_classes(logits: Tensor, labels: Tensor) -> Tensor:
    return log_odds_against_all(_parts(log_odds_against(logits, labels)))


def _parts(log_odds: Tensor) -> Sequence[Tensor]:
    """Log odds ``[items, ...]`` of an item's answers, each ``[items]``."""
    return [log_odds] if log_odds.dim() == 1 else log_odds.flatten(1).unbind(-1)


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    value: Tensor = _CrossEntropy.apply(logits.flatten(0, -2), labels.flatten())  # type: ignore[no-untyped-call]
    return value.view(labels.shape)


class _CrossEntropy(torch.autograd.Function):
    """-log p ``[rows]`` of labels, of logits ``[rows, classes]``, which are all that it keeps.

    Differs from torch's cross-entropy, which keeps log-probabilities in fp32: these are worked out again, some rows at
    a time.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor) -> Tensor:
        ctx.save_for_backward(logits, labels)
        value = torch.empty(len(logits), dtype=torch.float32, device=logits.device)
        for rows in some_rows(logits):
            value[rows] = F.cross_entropy(logits[rows].float(), labels[rows], reduction="none")
        return value

    @staticmethod
    def backward(ctx: Any, *factors: Tensor) -> tuple[Tensor, None]:
        logits, labels = ctx.saved_tensors
        gradient = torch.empty_like(logits)
        for rows in some_rows(logits):
            some = logits[rows].float().softmax(-1)
            at_labels = labels[rows].unsqueeze(-1)
            some.scatter_(-1, at_labels, 0.0)
            some.scatter_(-1, at_labels, -some.sum(-1, keepdim=True))  # p - 1, of which fp32 loses what is small
            gradient[rows] = some * factors[0][rows].unsqueeze(-1)
        return gradient, None


# -- yes or no ---------------------------------------------------------------------------------------------------------


def _more_likely_answer(logits: Tensor) -> Tensor:
    return (logits.detach() > 0).float()


def _sampled_answer(logits: Tensor, generator: Generator | None) -> Tensor:
    return torch.bernoulli(logits.detach().float().sigmoid().nan_to_num(0.5), generator=generator)


def _log_odds_against_answers(logits: Tensor, labels: Tensor) -> Tensor:
    return log_odds_against_all(_parts((1 - 2 * labels) * logits.float()))


# -- numbers -----------------------------------------------------------------------------------------------------------


def _one_below(predictions: Tensor) -> Tensor:
    """A number one deviation off: at the most likely one itself the loss has no gradient."""
    return predictions.detach().float() - 1


def _sampled_number(predictions: Tensor, generator: Generator | None) -> Tensor:
    predictions = predictions.detach().float()
    return predictions + torch.randn(predictions.shape, generator=generator, device=predictions.device)


def _half_squared_error(predictions: Tensor, labels: Tensor) -> Tensor:
    return (predictions.float() - labels).square().sum(-1) / 2


CATEGORICAL = Likelihood(_most_likely_class, _sampled_class, _log_odds_against_classes, is_log_odds=True)
"""One class for each item, or for each of the parts of an item (the start and the end of a span)."""
TOKENS = Likelihood(_most_likely_class, _sampled_class, _cross_entropy)
"""One class for each token of a sequence: the loss is -log p itself, so that tokens weigh by their errors."""
BERNOULLI = Likelihood(_more_likely_answer, _sampled_answer, _log_odds_against_answers, is_log_odds=True)
"""Independent yes/no labels."""
GAUSSIAN = Likelihood(_one_below, _sampled_number, _half_squared_error)
"""A number with variance 1."""
