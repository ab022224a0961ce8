"""What an evaluation must know of a kind of task: right answers, what attacks may change, answers in words."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from alum.attacks.text.protocol import Goal, VictimOutputs
from alum.attacks.text.searches.hotflip import Gradients
from alum.attacks.text.worded import Example
from alum.core.errors import InputError
from alum.evaluation.label_names import LabelMapping
from alum.models.inputs import Inputs
from alum.models.text_model import TextModel
from alum.tasks.base import Supervision
from alum.tasks.layout import Layout
from alum.tasks.rows import TaskRows

# Outputs and inputs of a model, labels among them, to ``[features]``, True where an answer is wrong.
WrongAnswers = Callable[[Any, Inputs], Tensor]


class TextVictim(Protocol):
    """A model that attacks on texts ask; what its outputs are its goals know."""

    def __call__(self, examples: Sequence[Example]) -> VictimOutputs:
        """A row of outputs for each example, in their order."""

    def characters_read(self, example: Example) -> tuple[int, ...]:
        """How many characters of each text the model reads."""


@dataclass(frozen=True)
class AttackableRow:
    """A row as an attack takes it; further texts than the attacked ones are never changed."""

    example: Example
    goal: Goal
    attacked_texts: tuple[int, ...]


@dataclass(frozen=True)
class EvaluatedKind:
    """A kind of task whose models are measured clean, with typing errors and, where it has losses, under PGD."""

    supervision: Supervision

    needs_all_rows = False
    """Whether a row's prediction depends on which other rows are measured."""
    has_gradients = False
    """Whether attacks on texts that ask for the gradients of a classifier fit."""

    @property
    def name(self) -> str:
        return self.supervision.kind.name

    def check_labels(self, rows: TaskRows) -> None:
        """Raises `InputError` for labels that cannot be measured on, before any model is loaded."""

    def in_labels_of(
        self, model_names: Sequence[str], rows: TaskRows, suite: str, are_own: bool
    ) -> tuple[TaskRows, LabelMapping | None]:
        """The rows with the label names that a model's answers are given in, and the label of each of its outputs.

        Rows of the user's own (``are_own``) show only some labels, which here become the model's; a suite's never
        change. None for kinds whose outputs are no labels. Raises `InputError` where model and labels do not go
        together.
        """
        return rows, None

    def mistyped_columns(self, layout: Layout) -> tuple[str, ...]:
        """Columns whose texts a user would type."""
        return layout.text

    def wrong_answers(self, tolerance: float | None) -> WrongAnswers | None:
        """Which features' answers are wrong; None where a single feature's answer is not right or wrong."""
        return None

    def row_scores(self, predictions: Sequence[Any], rows: TaskRows, tolerance: float) -> dict[str, list[float]]:
        """Scores in [0, 1] of each row, for metrics that are means over rows."""
        return self.supervision.row_scores(predictions, rows)


class AttackedKind(EvaluatedKind):
    """A kind of task whose texts attacks can change."""

    @abstractmethod
    def victim(self, model: TextModel, rows: TaskRows, mapping: LabelMapping | None = None) -> TextVictim:
        """A model as the victim of attacks on the examples that `attackable_rows` makes of ``rows``."""

    @abstractmethod
    def attackable_rows(self, rows: TaskRows, tolerance: float) -> list[AttackableRow]:
        """Every row as an example with the goal of turning its right answer.

        Raises `InputError` for values that do not fit the layout.
        """

    @abstractmethod
    def attack_scores(self, outputs: Sequence[float] | VictimOutputs, goal: Goal) -> dict[str, float]:
        """Scores, in [0, 1], of one row of a victim's outputs, ``[…]``."""

    @abstractmethod
    def right_answers(self, rows: TaskRows) -> list[str]:
        """The right answer of each row in words."""

    @abstractmethod
    def answer(self, outputs: Sequence[float], label_names: Sequence[str]) -> tuple[str, dict[str, float] | None]:
        """One row of a victim's outputs in words and, of a classifier, the probabilities of the labels."""

    def gradients(self, model: TextModel, mapping: LabelMapping | None = None) -> Gradients:
        """Gradients that attacks on texts follow, where `has_gradients`; raises `InputError` elsewhere."""
        raise InputError(f"models of {self.name} have no gradients for words: choose an attack that needs none.")


def is_right(outputs: Sequence[float] | VictimOutputs, goal: Goal) -> float:
    """1 where one row of a victim's outputs has not reached the attack's goal, else 0."""
    return float(not goal.reached(np.asarray(outputs, dtype=np.float64)[None])[0])


def examples_of(rows: TaskRows) -> list[Example]:
    """The texts of each row, in the order of the columns."""
    return list(zip(*rows.texts(), strict=True))


def not_the_likeliest(outputs: Any, inputs: Inputs) -> Tensor:
    """`WrongAnswers` where the likeliest output is the answer."""
    wrong: Tensor = outputs["logits"].argmax(-1) != inputs["labels"]
    return wrong
