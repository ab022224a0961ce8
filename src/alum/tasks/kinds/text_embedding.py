"""Embeddings of texts, compared as they are used: by their direction, or by where they lie."""

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from alum.core.divergences import squared_error
from alum.core.outputs.likelihoods import GAUSSIAN
from alum.models.inputs import Inputs
from alum.tasks.base import TaskKind


def _embeddings(outputs: Any, inputs: Inputs) -> Tensor:
    embeddings: Tensor = outputs["sentence_embedding"]
    return embeddings


def _directions(outputs: Any, inputs: Inputs) -> Tensor:
    return F.normalize(_embeddings(outputs, inputs).float(), dim=-1)


TEXT_EMBEDDING = TaskKind("text_embedding", compared=_embeddings, distance=squared_error, likelihood=GAUSSIAN)
TEXT_EMBEDDING_DIRECTION = TaskKind(
    "text_embedding_direction", compared=_directions, distance=squared_error, likelihood=GAUSSIAN
)
"""For embeddings that are compared by their cosine: the squared error between unit vectors is 2 - 2 cos."""
