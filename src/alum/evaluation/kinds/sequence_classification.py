"""Sequence classification in evaluation: one label out of several for a text or a pair."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from alum.attacks.text.output_cache import OutputCache
from alum.attacks.text.protocol import Goal, Misclassified, VictimOutputs
from alum.attacks.text.searches.gradients import Gradients
from alum.attacks.text.worded import Example
from alum.data.padding import PaddedTokens
from alum.evaluation import text_reading
from alum.evaluation.gradients import ClassifierGradients
from alum.evaluation.kinds.base import (
    AttackableRow,
    AttackedKind,
    TextVictim,
    WrongAnswers,
    is_right,
    not_the_likeliest,
)
from alum.evaluation.label_names import LabelMapping
from alum.evaluation.scores.set_metrics import SetMetric, set_metric
from alum.models.text_model import TextModel, in_batches
from alum.tasks.labels import label_ids
from alum.tasks.rows import TaskRows


def probabilities(logits: Tensor) -> Tensor:
    """Class probabilities, ``[..., classes]``, in double precision."""
    return logits.double().softmax(-1)


def over_labels(logits: Tensor, mapping: LabelMapping | None) -> Tensor:
    """Logits of a task's labels, from those of a model's outputs."""
    return logits if mapping is None else mapping.joined(logits)


@dataclass(frozen=True)
class ClassifierVictim:
    """Classifier as the victim of attacks on texts or pairs: its outputs are class probabilities.

    ``outputs_of`` may make something else of its logits. Batches hold texts of about the same length. Texts of the same
    tokens are run once and have the very same answer; others differ in the last digits with what is in their batch.
    """

    text_model: TextModel
    cache: OutputCache = field(default_factory=OutputCache)
    outputs_of: Callable[[Tensor], Tensor] = probabilities

    def __call__(self, examples: Sequence[Example]) -> VictimOutputs:
        """Class probabilities of texts or pairs, ``[examples, classes]``.

        Raises `InputError` for text that is not Unicode and for logits that are not finite.
        """
        rows = text_reading.encoded(examples, self.text_model.tokenization)
        questions = [repr(row).encode() for row in rows]
        return self.cache.of(questions, lambda indices: self._outputs([rows[index] for index in indices]))

    def characters_read(self, example: Example) -> tuple[int, ...]:
        """Number of characters that the model reads of each text; the others are truncated away and can never matter.

        All of them, where the tokenizer does not tell where its tokens are.
        """
        return text_reading.characters_read(example, self.text_model.tokenization)

    def _outputs(self, rows: list[text_reading.Tokens]) -> VictimOutputs:
        lengths = [len(row["input_ids"]) for row in rows]
        outputs = in_batches(rows, lengths, self.text_model.largest_batch, self._of_batch)
        return text_reading.as_outputs(torch.stack(outputs))

    def _of_batch(self, rows: list[text_reading.Tokens]) -> list[Tensor]:
        logits = self.text_model.outputs(PaddedTokens(self.text_model.tokenizer)(rows)).logits
        text_reading.check_finite(logits)
        return list(self.outputs_of(logits))


class EvaluatedClassification(AttackedKind):
    """Sequence classification in evaluation: attacks change the text, or the last of a pair, to get any other label."""

    chooses_label = True
    takes_functions = True
    has_gradients = True

    def check_labels(self, rows: TaskRows) -> None:
        label_ids(rows)

    def right_labels(self, rows: TaskRows) -> list[int]:
        return label_ids(rows)

    def wrong_answers(self, tolerance: float | None) -> WrongAnswers:
        return not_the_likeliest

    def set_metric(self, name: str, predictions: Sequence[Any], rows: TaskRows) -> SetMetric:
        return set_metric(name, label_ids(rows), [rows.label_names.index(label) for label in predictions])

    def victim(self, model: TextModel, rows: TaskRows, mapping: LabelMapping | None = None) -> TextVictim:
        return ClassifierVictim(model, outputs_of=lambda logits: probabilities(over_labels(logits, mapping)))

    def logits_victim(self, model: TextModel, mapping: LabelMapping | None = None) -> TextVictim:
        return ClassifierVictim(model, outputs_of=lambda logits: over_labels(logits, mapping))

    def attackable_rows(self, rows: TaskRows, tolerance: float) -> list[AttackableRow]:
        pairs = zip(rows.examples(), label_ids(rows), strict=True)
        return [AttackableRow(example, Misclassified(label), (-1,)) for example, label in pairs]

    def attack_scores(self, outputs: Sequence[float] | VictimOutputs, goal: Goal) -> dict[str, float]:
        return {"accuracy": is_right(outputs, goal)}

    def right_answers(self, rows: TaskRows) -> list[str]:
        return [rows.label_names[label] for label in label_ids(rows)]

    def answer(self, outputs: Sequence[float], label_names: Sequence[str]) -> tuple[str, dict[str, float] | None]:
        likeliest = max(range(len(outputs)), key=outputs.__getitem__)
        return label_names[likeliest], dict(zip(label_names, outputs, strict=True))

    def gradients(self, model: TextModel, mapping: LabelMapping | None = None) -> Gradients:
        return ClassifierGradients(model, mapping)
