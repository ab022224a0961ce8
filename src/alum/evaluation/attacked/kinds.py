"""Attacks on texts for each kind of task: the victim, the rows with what an attack is after, and their scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from alum.attacks.text.protocol import AnswerLost, Goal, Misclassified, OutsideTolerance, VictimOutputs
from alum.attacks.text.worded import Example
from alum.core.errors import InputError
from alum.data.table import Table
from alum.evaluation.attacked.classification import ClassifierVictim, probabilities
from alum.evaluation.attacked.multiple_choice import ChoiceVictim
from alum.evaluation.attacked.question_answering import QuestionVictim
from alum.evaluation.label_names import joined_logits
from alum.tasks.base import Layout, TaskKind
from alum.tasks.kinds.multiple_choice import MULTIPLE_CHOICE, contexts_and_choices, right_choices
from alum.tasks.kinds.question_answering import QUESTION_ANSWERING, answers_in, questions_and_contexts
from alum.tasks.kinds.regression import REGRESSION, numbers_in
from alum.tasks.kinds.sequence_classification import SEQUENCE_CLASSIFICATION
from alum.tasks.labels import label_ids

ATTACKABLE_KINDS = (SEQUENCE_CLASSIFICATION, REGRESSION, MULTIPLE_CHOICE, QUESTION_ANSWERING)


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


def victim_for(
    kind: TaskKind,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    max_length_tokens: int,
    batch_size: int = 64,
    answers: Sequence[int] = (),
    num_labels: int = 0,
    *,
    may_abstain: bool = False,
) -> TextVictim:
    """A model of a kind as the victim of attacks on the examples that `attackable_rows` makes.

    For classification ``answers`` and ``num_labels`` are those of `joined_logits`; without them the model's outputs
    are the labels. ``may_abstain`` is for question answering, see `may_abstain_on`.

    Raises `InputError` for kinds whose texts no attack can change.
    """
    if kind is SEQUENCE_CLASSIFICATION:

        def over_labels(logits: Tensor) -> Tensor:
            return probabilities(joined_logits(logits, answers, num_labels) if answers else logits)

        return ClassifierVictim(model, tokenizer, max_length_tokens, batch_size, outputs_of=over_labels)
    if kind is REGRESSION:
        return ClassifierVictim(model, tokenizer, max_length_tokens, batch_size, outputs_of=lambda logits: logits)
    if kind is MULTIPLE_CHOICE:
        return ChoiceVictim(model, tokenizer, max_length_tokens, batch_size)
    if kind is QUESTION_ANSWERING:
        return QuestionVictim(model, tokenizer, max_length_tokens, batch_size, may_abstain)
    raise _not_attackable(kind)


def may_abstain_on(kind: TaskKind, table: Table, layout: Layout) -> bool:
    """Whether a model may say that a question has no answer: where some questions of the table have none."""
    return kind is QUESTION_ANSWERING and not all(answers_in(table, layout))


def attackable_rows(kind: TaskKind, table: Table, layout: Layout, tolerance: float) -> list[AttackableRow]:
    """Every row as an example with the goal of turning its right answer.

    Attacked are the text, or the last one of a pair; the context of a choice; the question, not its context, which
    holds the answer. A regressor is wrong by more than ``tolerance``.

    Raises `InputError` for values that do not fit the layout, and for kinds whose texts no attack can change.
    """
    if kind is SEQUENCE_CLASSIFICATION:
        goals: list[Goal] = [Misclassified(label) for label in label_ids(table, layout)]
        examples, attacked = _texts(table, layout), -1
    elif kind is REGRESSION:
        goals = [OutsideTolerance(value, tolerance) for value in numbers_in(table, layout)]
        examples, attacked = _texts(table, layout), -1
    elif kind is MULTIPLE_CHOICE:
        goals = [Misclassified(label) for label in right_choices(table, layout)]
        examples, attacked = [(context, *choices) for context, choices in contexts_and_choices(table, layout)], 0
    elif kind is QUESTION_ANSWERING:
        questions, contexts = questions_and_contexts(table, layout)
        rows = zip(questions, contexts, answers_in(table, layout), strict=True)
        examples = [(question, context, *(answer.text for answer in right)) for question, context, right in rows]
        goals, attacked = [AnswerLost()] * len(examples), 0
    else:
        raise _not_attackable(kind)
    return [AttackableRow(example, goal, (attacked,)) for example, goal in zip(examples, goals, strict=True)]


def scores_of(kind: TaskKind, outputs: Sequence[float] | VictimOutputs, goal: Goal) -> dict[str, float]:
    """The scores, in [0, 1], of one row of a victim's outputs, ``[…]``."""
    if kind is QUESTION_ANSWERING:
        return {"exact_match": float(outputs[1]), "f1": float(outputs[2])}
    is_right = not goal.reached(np.asarray(outputs, dtype=np.float64)[None])[0]
    return {"within_tolerance" if kind is REGRESSION else "accuracy": float(is_right)}


def _texts(table: Table, layout: Layout) -> list[Example]:
    table.require(layout.text)
    return list(zip(*(table.texts(column) for column in layout.text), strict=True))


def _not_attackable(kind: TaskKind) -> InputError:
    kinds = ", ".join(known.name for known in ATTACKABLE_KINDS)
    return InputError(f"attacks on texts are for {kinds}, not for {kind.name}: leave them out.")
