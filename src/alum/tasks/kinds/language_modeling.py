"""Masked and causal language modelling, where only the outputs that predict a label count."""

from typing import Any

from torch import Tensor

from alum.core.divergences import IGNORED_LABEL, labelled, symmetric_kl
from alum.core.outputs.likelihoods import TOKENS
from alum.models.hooks.last_tensor import OfLastTensor
from alum.models.inputs import Inputs
from alum.tasks.base import TaskKind, logits_of


def _labelled_rows(labels: Tensor) -> tuple[Tensor, Tensor]:
    flat = labels.flatten()
    rows = labelled(flat).nonzero().squeeze(-1)
    return rows, flat[rows]


def _next_labelled_rows(labels: Tensor) -> tuple[Tensor, Tensor]:
    # Position t predicts the label at t + 1: the last position of each sequence predicts nothing.
    next_labels = labels.roll(-1, dims=-1).clone()
    next_labels[..., -1] = IGNORED_LABEL
    return _labelled_rows(next_labels)


# Passes of a step ask for the rows of the same labels, and each answer waits for the device.
_masked_rows, _causal_rows = OfLastTensor(_labelled_rows), OfLastTensor(_next_labelled_rows)


def _masked_compared(outputs: Any, inputs: Inputs) -> Tensor:
    return _at_rows(logits_of(outputs), _masked_rows(inputs["labels"])[0])


def _causal_compared(outputs: Any, inputs: Inputs) -> Tensor:
    logits, (rows, _) = logits_of(outputs), _causal_rows(inputs["labels"])
    if logits.dim() == 3 and logits.shape[:2].numel() > max(inputs["labels"].numel(), len(rows)):
        logits = logits[:, -inputs["labels"].shape[-1] :]  # behind the virtual tokens of prompt tuning
    return _at_rows(logits, rows)


def _at_rows(logits: Tensor, rows: Tensor) -> Tensor:
    flat = logits.reshape(-1, logits.shape[-1])
    return flat if len(flat) == len(rows) else flat[rows]


MASKED_LM = TaskKind(
    name="masked_lm",
    compared=_masked_compared,
    distance=symmetric_kl,
    likelihood=TOKENS,
    compares_labelled_only=True,
    predicted_rows=_masked_rows,
)

CAUSAL_LM = TaskKind(
    name="causal_lm",
    compared=_causal_compared,
    distance=symmetric_kl,
    likelihood=TOKENS,
    compares_labelled_only=True,
    predicted_rows=_causal_rows,
    shifts_labels=True,
)
