"""Sequence-to-sequence models (translation, summaries): token distributions of the decoder where a token is learnt."""

from typing import Any

from torch import Tensor

from alum.core.divergences import labelled, symmetric_kl
from alum.core.outputs.likelihoods import TOKENS
from alum.models.inputs import Inputs
from alum.tasks.base import TaskKind, logits_of


def _decoder_tokens(outputs: Any, inputs: Inputs) -> Tensor:
    # The decoder reads the labels moved by one, so that its position t predicts the label at t itself.
    return logits_of(outputs)[labelled(inputs["labels"])]


SEQUENCE_TO_SEQUENCE = TaskKind(
    name="sequence_to_sequence",
    compared=_decoder_tokens,
    distance=symmetric_kl,
    likelihood=TOKENS,
    compares_labelled_only=True,
)
