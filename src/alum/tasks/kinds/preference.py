"""Preferences between two answers: which of a pair a reward model prefers, and with which probability."""

from typing import Any

from torch import Tensor

from alum.core.divergences import bernoulli_symmetric_kl
from alum.core.outputs.likelihoods import BERNOULLI
from alum.models.inputs import Inputs
from alum.tasks.base import TaskKind, logits_of


def _reward_differences(outputs: Any, inputs: Inputs) -> Tensor:
    chosen, rejected = logits_of(outputs).chunk(2)
    return chosen - rejected


PREFERENCE = TaskKind(
    name="preference",
    compared=_reward_differences,
    distance=bernoulli_symmetric_kl,
    likelihood=BERNOULLI,
)
"""A batch has the chosen answers first, then the rejected ones. A preference is Bernoulli in the difference of their
rewards (Bradley and Terry 1952): what is added to both rewards changes nothing, and no divergence."""
