"""Victims whose answers are known in closed form: two classes, the second one by the words or characters it holds."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from alum.attacks.text.protocol import VictimOutputs
from alum.attacks.text.worded import Example


def victim_of(margin: Callable[[Example], float]) -> Callable[[Sequence[Example]], VictimOutputs]:
    """Probabilities [1 - p, p] with p = sigmoid(margin)."""

    def victim(examples: Sequence[Example]) -> VictimOutputs:
        margins = np.array([margin(example) for example in examples], dtype=float)
        return np.stack([1 / (1 + np.exp(margins)), 1 / (1 + np.exp(-margins))], axis=-1)

    return victim


def bag_of_words(weights: Mapping[str, float], bias: float = 0.0) -> Callable[[Sequence[Example]], VictimOutputs]:
    """The margin is the bias and the weights of the words between spaces, 0 for those not named."""
    return victim_of(lambda example: bias + sum(weights.get(word, 0.0) for text in example for word in text.split()))


def constant(margin: float = 1.0) -> Callable[[Sequence[Example]], VictimOutputs]:
    """It always says the same."""
    return victim_of(lambda example: margin)
