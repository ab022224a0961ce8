"""Distributions that a model's outputs stand for: the label they find most likely, one drawn from them, the loss at it.

Virtual directions ascend the loss at a label of the model's own (`alum.core.methods.Method.ascent`). What counts of it
is the direction of its gradient within an example, so losses here are scaled by constants that keep it from vanishing
in fp32 where a model is sure.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


@dataclass(frozen=True)
class Likelihood:
    """Labels of a model's own for outputs ``[items, ...]``, and the losses at such labels, ``[items, ...]``."""

    predicted: Callable[[Tensor], Tensor]
    """Most likely label of each output."""
    sampled: Callable[[Tensor, Generator | None], Tensor]
    """A label drawn for each output."""
    loss: Callable[[Tensor, Tensor], Tensor]
    """Outputs and labels to -log p, up to a positive constant for each item of the first dimension."""


# -- classes -----------------------------------------------------------------------------------------------------------


def _most_likely_class(logits: Tensor) -> Tensor:
    return logits.detach().argmax(-1)


def _sampled_class(logits: Tensor, generator: Generator | None) -> Tensor:
    probabilities = logits.detach().float().softmax(-1).flatten(0, -2)
    return torch.multinomial(probabilities, 1, generator=generator).view(logits.shape[:-1])


def _log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    """Log odds against each label, weighted so that their gradient is that of -log p times a constant an item.

    With m = z_y - log Σ_{j≠y} exp z_j the cross-entropy is log(1 + exp(-m)), whose gradient is -(1 - p_y)·∇m. In fp32
    1 - p_y is zero from p_y = 1 - 6e-8 on; here only its ratio to the largest of the item's is a factor.
    """
    logits, own = logits.float(), labels.unsqueeze(-1)
    margins = logits.gather(-1, own).squeeze(-1) - logits.scatter(-1, own, -torch.inf).logsumexp(-1)
    return -_relative_errors(margins) * margins


def _relative_errors(margins: Tensor) -> Tensor:
    """Ratio of each label's 1 - p to the largest of its item's, given the log odds of p."""
    log_errors = -F.softplus(margins.detach())
    largest = log_errors.flatten(1).amax(-1) if log_errors.dim() > 1 else log_errors
    return (log_errors - largest.view(-1, *[1] * (log_errors.dim() - 1))).exp()


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits.float().flatten(0, -2), labels.flatten(), reduction="none").view(labels.shape)


# -- yes or no ---------------------------------------------------------------------------------------------------------


def _more_likely_answer(logits: Tensor) -> Tensor:
    return (logits.detach() > 0).float()


def _sampled_answer(logits: Tensor, generator: Generator | None) -> Tensor:
    return torch.bernoulli(logits.detach().float().sigmoid(), generator=generator)


def _binary_log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    margins = (2 * labels - 1) * logits.float()
    return -_relative_errors(margins) * margins


# -- numbers -----------------------------------------------------------------------------------------------------------


def _one_below(predictions: Tensor) -> Tensor:
    """A number one deviation off: at the most likely one itself the loss has no gradient."""
    return predictions.detach().float() - 1


def _sampled_number(predictions: Tensor, generator: Generator | None) -> Tensor:
    predictions = predictions.detach().float()
    return predictions + torch.randn(predictions.shape, generator=generator, device=predictions.device)


def _half_squared_error(predictions: Tensor, labels: Tensor) -> Tensor:
    return (predictions.float() - labels).square().sum(-1) / 2


CATEGORICAL = Likelihood(_most_likely_class, _sampled_class, _log_odds)
"""One class for each item, or for each of the parts of an item (the start and the end of a span)."""
TOKENS = Likelihood(_most_likely_class, _sampled_class, _cross_entropy)
"""One class for each token of a sequence: an item's weight in its sequence is that of its own error."""
BERNOULLI = Likelihood(_more_likely_answer, _sampled_answer, _binary_log_odds)
"""Independent yes/no labels."""
GAUSSIAN = Likelihood(_one_below, _sampled_number, _half_squared_error)
"""A number with variance 1."""
