"""Multiple choice in evaluation: one of several continuations of a context."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from alum.attacks.text.output_cache import OutputCache
from alum.attacks.text.protocol import Goal, Misclassified, VictimOutputs
from alum.attacks.text.worded import Example
from alum.evaluation import text_reading
from alum.evaluation.kinds.base import AttackableRow, AttackedKind, WrongAnswers, is_right, not_the_likeliest
from alum.evaluation.kinds.sequence_classification import probabilities
from alum.evaluation.label_names import LabelMapping
from alum.models.text_model import TextModel, in_batches
from alum.tasks.kinds.multiple_choice import PaddedChoices, contexts_and_choices, right_choices
from alum.tasks.rows import TaskRows


@dataclass(frozen=True)
class ChoiceVictim:
    """Multiple-choice model as the victim of attacks, on examples ``(context, choice, choice, …)``.

    Its outputs are the probabilities of the choices, or what ``outputs_of`` makes of their logits. As
    `ClassifierVictim` in everything else; the model's batch size counts pairs of a context and a choice.
    """

    text_model: TextModel
    cache: OutputCache = field(default_factory=OutputCache)
    outputs_of: Callable[[Tensor], Tensor] = probabilities

    def __call__(self, examples: Sequence[Example]) -> VictimOutputs:
        """Choice probabilities ``[examples, choices]`` of examples with as many each; raises as `ClassifierVictim`."""
        count = len(examples[0]) - 1
        pairs = [(context, choice) for context, *choices in examples for choice in choices]
        encoded = text_reading.encoded(pairs, self.text_model.tokenization)
        rows = [encoded[start : start + count] for start in range(0, len(encoded), count)]
        questions = [repr(row).encode() for row in rows]
        return self.cache.of(questions, lambda indices: self._outputs([rows[index] for index in indices]))

    def characters_read(self, example: Example) -> tuple[int, ...]:
        """Number of characters that the model reads of each text, of the context the most beside any of the choices."""
        context, *choices = example
        read = [text_reading.characters_read((context, choice), self.text_model.tokenization) for choice in choices]
        return (max(of_context for of_context, _ in read), *(of_choice for _, of_choice in read))

    def _outputs(self, rows: list[list[text_reading.Tokens]]) -> VictimOutputs:
        lengths = [max(len(choice["input_ids"]) for choice in row) for row in rows]
        size = max(1, self.text_model.largest_batch // len(rows[0]))
        return text_reading.as_outputs(torch.stack(in_batches(rows, lengths, size, self._of_batch)))

    def _of_batch(self, rows: list[list[text_reading.Tokens]]) -> list[Tensor]:
        features = [{name: [choice[name] for choice in row] for name in row[0]} for row in rows]
        logits = self.text_model.outputs(PaddedChoices(self.text_model.tokenizer)(features)).logits
        text_reading.check_finite(logits)
        return list(self.outputs_of(logits))


class EvaluatedMultipleChoice(AttackedKind):
    """Multiple choice in evaluation: attacks change the context to get any other choice."""

    chooses_label = True

    def wrong_answers(self, tolerance: float | None) -> WrongAnswers:
        return not_the_likeliest

    def victim(self, model: TextModel, rows: TaskRows, mapping: LabelMapping | None = None) -> ChoiceVictim:
        return ChoiceVictim(model)

    def logits_victim(self, model: TextModel, mapping: LabelMapping | None = None) -> ChoiceVictim:
        return ChoiceVictim(model, outputs_of=lambda logits: logits)

    def right_labels(self, rows: TaskRows) -> list[int]:
        return right_choices(rows)

    def attackable_rows(self, rows: TaskRows, tolerance: float) -> list[AttackableRow]:
        pairs = zip(contexts_and_choices(rows), right_choices(rows), strict=True)
        return [AttackableRow((context, *choices), Misclassified(label), (0,)) for (context, choices), label in pairs]

    def attack_scores(self, outputs: Sequence[float] | VictimOutputs, goal: Goal) -> dict[str, float]:
        return {"accuracy": is_right(outputs, goal)}

    def right_answers(self, rows: TaskRows) -> list[str]:
        return [f"choice {label + 1}" for label in right_choices(rows)]

    def answer(self, outputs: Sequence[float], label_names: Sequence[str]) -> tuple[str, dict[str, float] | None]:
        return f"choice {max(range(len(outputs)), key=outputs.__getitem__) + 1}", None
