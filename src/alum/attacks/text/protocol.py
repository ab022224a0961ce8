"""Types that all attacks on texts share: goals, results, and searches as generators.

A search yields lists of examples to be scored, is sent the victim's outputs for them, and returns an `AttackResult`. It
knows no model; `run_searches` asks about the examples of many searches together. A question to others than the victim,
such as for gradients, is a `Consultation`, and these are answered together too.
"""

import random
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from alum.attacks.text.worded import Example, Place, WordedExample

# A row for each example: of a classifier, the probabilities of its classes; of others, what their goal below says.
VictimOutputs = NDArray[np.float64]
Outcome = Literal["succeeded", "failed", "skipped"]


class Goal(Protocol):
    """Goal of an attack, measured on the victim's outputs ``[examples, …]``."""

    def loss(self, outputs: VictimOutputs) -> NDArray[np.float64]:
        """Loss ``[examples]`` that the search raises."""

    def reached(self, outputs: VictimOutputs) -> NDArray[np.bool_]:
        """Whether the victim's answer is wrong, ``[examples]``."""


@dataclass(frozen=True)
class Misclassified:
    """Goal of making another class than ``label`` the most probable one."""

    label: int

    def loss(self, outputs: VictimOutputs) -> NDArray[np.float64]:
        # Not 1 - p, which is 0 for a victim that is sure to sixteen digits.
        return np.asarray(np.delete(outputs, self.label, axis=-1).sum(-1))

    def reached(self, outputs: VictimOutputs) -> NDArray[np.bool_]:
        return np.asarray(outputs.argmax(-1) != self.label)


@dataclass(frozen=True)
class OutsideTolerance:
    """Goal of moving a regressor's prediction ``[examples, 1]`` further than ``tolerance`` from ``value``."""

    value: float
    tolerance: float

    def loss(self, outputs: VictimOutputs) -> NDArray[np.float64]:
        return np.asarray(np.abs(outputs[:, 0] - self.value))

    def reached(self, outputs: VictimOutputs) -> NDArray[np.bool_]:
        return np.asarray(self.loss(outputs) > self.tolerance)


@dataclass(frozen=True)
class AnswerLost:
    """Goal of making the answer to a question no exact match, of outputs ``[examples, (loss, exact match, F1)]``.

    An answer that only overlaps with a right one counts as lost too: the scores have its F1.
    """

    def loss(self, outputs: VictimOutputs) -> NDArray[np.float64]:
        return np.asarray(outputs[:, 0])

    def reached(self, outputs: VictimOutputs) -> NDArray[np.bool_]:
        return np.asarray(outputs[:, 1] == 0)


@dataclass(frozen=True)
class Change:
    """One word that an attack replaced by another."""

    place: Place
    old: str
    new: str


@dataclass(frozen=True)
class AttackResult:
    """Result of an attack on one example.

    ``skipped``: the answer was wrong before; ``failed``: ``perturbed`` has the changes that were made, but its answer
    is right. The outputs are the victim's rows for the original and for the perturbed example. ``num_queries`` counts
    the examples that the search asked about, outputs from a cache included. ``num_words`` are those of the attacked
    texts, and ``changes`` are in the order of the text. ``ended_by_limit`` says that it failed with no query left.
    """

    original: Example
    perturbed: Example
    outcome: Outcome
    clean_outputs: tuple[float, ...]
    adversarial_outputs: tuple[float, ...]
    num_queries: int
    num_words: int
    changes: tuple[Change, ...]
    ended_by_limit: bool = False


@dataclass(frozen=True)
class Consultation:
    """Question of a search to another than the victim, such as its gradients or a masked language model.

    ``ask`` answers the questions of many searches at once, in their order, each whatever the others are.
    """

    ask: Callable[[Sequence[Any]], Sequence[Any]]
    question: Any


# What a search yields: examples for the victim, whose outputs it is sent, or a question, whose answer it is sent.
Asked = list[Example] | Consultation
Search = Generator[Asked, Any, AttackResult]

# The words that may stand in one place of an example, or the question that they are the answer to.
Candidates = Callable[[WordedExample, Place, random.Random], Sequence[str] | Consultation]


def words_of(candidates: Sequence[str] | Consultation) -> Generator[Asked, Any, Sequence[str]]:
    """Gives the words that candidates are, after asking for them where they are the answer to a question."""
    if isinstance(candidates, Consultation):
        answer: Sequence[str] = yield candidates
        return answer
    return candidates


def words_at_once(candidates: Sequence[str] | Consultation) -> Sequence[str]:
    """Gives the words that candidates are outside of searches, where nothing else is asked beside."""
    if isinstance(candidates, Consultation):
        answer: Sequence[str] = candidates.ask([candidates.question])[0]
        return answer
    return candidates
