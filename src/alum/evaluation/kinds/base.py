"""Interfaces of a kind of task in evaluation: right answers, what attacks may change, answers in words."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from torch import Tensor, nn

from alum.attacks.embedding_pgd import Losses
from alum.attacks.logit_ratio import ratio_where_defined
from alum.attacks.text.protocol import Goal, VictimOutputs
from alum.attacks.text.searches.gradients import Gradients
from alum.attacks.text.worded import Example
from alum.core.errors import InputError
from alum.data.values import whole_number
from alum.evaluation.label_names import LabelMapping, label_mapping, label_names_for
from alum.evaluation.scores.set_metrics import SetMetric, set_metric_of_rows
from alum.models.hooks.packed_rows import PackedRows
from alum.models.inputs import LABEL_INPUTS, Inputs, padding_mask_for
from alum.models.text_model import TextModel
from alum.tasks.base import Supervision
from alum.tasks.layout import Layout
from alum.tasks.rows import TaskRows

# Outputs and inputs of a model, labels among them, to ``[features]``, True where an answer is wrong.
WrongAnswers = Callable[[Any, Inputs], Tensor]


class TextVictim(Protocol):
    """Victim of attacks on texts: a model that can be asked for its outputs, whose meaning the attack's goal knows."""

    def __call__(self, examples: Sequence[Example]) -> VictimOutputs:
        """Outputs of the model, a row for each example, in their order."""

    def characters_read(self, example: Example) -> tuple[int, ...]:
        """Number of characters that the model reads of each text of an example."""


@dataclass(frozen=True)
class AttackableRow:
    """Row to attack: its texts, the goal of the attack, and which of the texts it may change."""

    example: Example
    goal: Goal
    attacked_texts: tuple[int, ...]


@dataclass(frozen=True)
class EvaluatedKind:
    """Kind of task in evaluation: measured clean, with noise and, where it has losses, under PGD."""

    supervision: Supervision

    needs_all_rows = False
    """Whether a row's prediction depends on which other rows are measured."""
    chooses_label = False
    """Whether a model of this kind gives each example one of several labels."""
    further_metrics: ClassVar[tuple[str, ...]] = ()
    """Metrics of the whole set that are reported beside the main one, on rows of the user's own."""
    takes_functions = False
    """Whether a function from texts to label probabilities can be measured in the place of a model."""
    has_gradients = False
    """Whether attacks on texts that follow a classifier's gradients can be run on models of this kind."""
    default_length_tokens: int | None = None
    """Longest input where none is asked for; None for the length that a suite's texts need."""

    @property
    def name(self) -> str:
        return self.supervision.kind.name

    def check_labels(self, rows: TaskRows) -> None:
        """Raises `InputError` for labels that cannot be measured on, before any model is loaded."""

    def in_labels_of(
        self, model_names: Sequence[str], rows: TaskRows, suite: str, are_own: bool
    ) -> tuple[TaskRows, LabelMapping | None]:
        """Matches rows and a model by their label names.

        Returns the rows with the label names that the model's answers are given in, and the label of each of its
        outputs; None for kinds whose labels have no names. Rows of the user's own (``are_own``) show only some labels,
        which here become the model's; a suite's never change. Raises `InputError` where model and labels do not go
        together.
        """
        if not rows.label_names:
            return rows, None
        if not are_own:
            return rows, label_mapping(model_names, rows.label_names, suite)
        names = label_names_for(model_names, rows.label_names)
        are_positions = rows.layout.numbers_are_positions or all(
            whole_number(name) is not None for name in rows.label_names
        )
        rows = rows.with_label_names(names, numbers_are_positions=are_positions)
        return rows, label_mapping(model_names, names, suite)

    def noisy_columns(self, layout: Layout) -> tuple[str, ...]:
        """Text columns that users would type, and so may mistype."""
        return tuple(column for column in layout.text if column not in layout.worded_columns)

    def outputs(self, model: nn.Module, inputs: Inputs) -> Any:
        """Runs a forward pass on inputs and labels, without the model's own loss."""
        return model(**{name: values for name, values in inputs.items() if name not in LABEL_INPUTS})

    def packed(self, inputs: Inputs) -> PackedRows | None:
        """Rows of a perturbation δ where they are not the rows that the model reads."""
        return None

    def perturbed(self, model: nn.Module, inputs: Inputs) -> Tensor:
        """Mask of what attacks on embeddings may move, ``[rows of δ, length]``: all tokens that are no padding."""
        return padding_mask_for(model, inputs)

    def wrong_answers(self, tolerance: float | None) -> WrongAnswers | None:
        """Makes the test for wrong answers, by feature; None where a single feature's answer is not right or wrong."""
        return None

    def right_labels(self, rows: TaskRows) -> list[int]:
        """Index of each row's right label among the outputs, where the kind `chooses_label`; else `InputError`."""
        raise InputError(f"models of {self.name} do not choose one label: their rows have no index of a right one.")

    def further_losses(self, outputs: Mapping[str, Tensor]) -> Sequence[Losses]:
        """Losses that attacks on embeddings ascend besides that of the kind of task, of a model with such outputs."""
        return ratio_where_defined(outputs) if self.chooses_label else ()

    def row_scores(self, predictions: Sequence[Any], rows: TaskRows, tolerance: float) -> dict[str, list[float]]:
        """Scores of each row by metric, in [0, 1], for metrics that are means over rows."""
        return self.supervision.row_scores(predictions, rows)

    def set_metric(self, name: str, predictions: Sequence[Any], rows: TaskRows) -> SetMetric:
        """Makes the metric of the whole set that `Supervision.score` has by this name.

        Kinds whose metrics are functions of sums over rows, which a thousand resamples are drawn of at once, say so.
        """

        def of_rows(indices: Sequence[int]) -> float:
            return self.supervision.score([predictions[index] for index in indices], rows.select(indices))[name]

        return set_metric_of_rows(len(rows), of_rows)


class AttackedKind(EvaluatedKind):
    """Kind of task in evaluation whose texts attacks can change."""

    @abstractmethod
    def victim(self, model: TextModel, rows: TaskRows, mapping: LabelMapping | None = None) -> TextVictim:
        """Makes a model the victim of attacks on the examples that `attackable_rows` makes of ``rows``."""

    @abstractmethod
    def attackable_rows(self, rows: TaskRows, tolerance: float) -> list[AttackableRow]:
        """Makes an example of every row, with the attack's goal of turning the right answer into a wrong one.

        Raises `InputError` for values that do not fit the layout.
        """

    @abstractmethod
    def attack_scores(self, outputs: Sequence[float] | VictimOutputs, goal: Goal) -> dict[str, float]:
        """Scores by metric, in [0, 1], of a victim's outputs for one example, ``[…]``."""

    @abstractmethod
    def right_answers(self, rows: TaskRows) -> list[str]:
        """Right answer of each row in words."""

    @abstractmethod
    def answer(self, outputs: Sequence[float], label_names: Sequence[str]) -> tuple[str, dict[str, float] | None]:
        """Puts a victim's outputs for one example into words, with probabilities by label if it is a classifier."""

    def logits_victim(self, model: TextModel, mapping: LabelMapping | None = None) -> TextVictim:
        """Makes a victim whose outputs are logits over the labels, where the kind `chooses_label`; else `InputError`.

        Probabilities, of which attacks know, are zero or one where a model's logits are large enough.
        """
        raise InputError(f"models of {self.name} do not choose one label: they have no logits over labels.")

    def gradients(self, model: TextModel, mapping: LabelMapping | None = None) -> Gradients:
        """Gradients that attacks on texts follow, where `has_gradients`; raises `InputError` elsewhere."""
        raise InputError(f"models of {self.name} have no gradients for words: choose an attack that needs none.")


def is_right(outputs: Sequence[float] | VictimOutputs, goal: Goal) -> float:
    """Scores a victim's outputs for one example: 0 where they have reached the attack's goal, else 1."""
    return float(not goal.reached(np.asarray(outputs, dtype=np.float64)[None])[0])


def not_the_likeliest(outputs: Any, inputs: Inputs) -> Tensor:
    """Tells where the likeliest output is not the label: `WrongAnswers` of kinds that answer with that output."""
    wrong: Tensor = outputs["logits"].argmax(-1) != inputs["labels"]
    return wrong
