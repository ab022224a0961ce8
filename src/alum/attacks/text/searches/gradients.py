"""Interface of attacks on texts to the gradients of a victim's loss for its word embeddings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from alum.attacks.text.candidates.word_tokens import Vocabulary
from alum.attacks.text.protocol import Goal, Misclassified
from alum.attacks.text.worded import Example, Place
from alum.core.errors import InputError


@dataclass(frozen=True)
class GradientQuestion:
    """Question for the gradients at the words of some places, of a loss that grows as the label gets less likely."""

    example: Example
    places: Sequence[Place]
    label: int


@dataclass(frozen=True)
class WordGradient:
    """Gradient of the loss for the embedding of a one-token word, ``[hidden]``, and the words that may replace it."""

    place: Place
    word: str
    token_id: int
    gradient: Tensor
    vocabulary: Vocabulary


class Gradients(Protocol):
    """Gradients of a victim's loss for its word embeddings; many questions are answered together, in their order."""

    @property
    def embeddings(self) -> Tensor:
        """Embeddings of all tokens, ``[vocabulary, hidden]``."""

    @property
    def ignores_case(self) -> bool:
        """Whether capitals and small letters are the same to the victim."""

    def at_words(self, questions: Sequence[GradientQuestion]) -> list[list[WordGradient]]:
        """Gradients at those of the words that are one token."""

    def importance(self, questions: Sequence[GradientQuestion]) -> list[Mapping[Place, float]]:
        """L1 norm of the mean gradient over the tokens of each word that is read, of one token or more."""


def label_of(goal: Goal, attack: str) -> int:
    """Label that an attack along gradients turns; raises `InputError` for goals without one."""
    if not isinstance(goal, Misclassified):
        raise InputError(f"{attack} turns the labels of classifiers: expected the goal Misclassified.")
    return goal.label
