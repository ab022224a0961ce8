"""A multiple-choice model as the victim of attacks on texts."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from alum.attacks.text.output_cache import OutputCache
from alum.attacks.text.protocol import VictimOutputs
from alum.attacks.text.worded import Example
from alum.evaluation.attacked import batching
from alum.evaluation.attacked.classification import probabilities
from alum.tasks.kinds.multiple_choice import PaddedChoices


@dataclass(frozen=True)
class ChoiceVictim:
    """The probabilities that a model gives to the choices of examples ``(context, choice, choice, …)``.

    As `ClassifierVictim` in everything else; ``batch_size`` counts pairs of a context and a choice.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    max_length_tokens: int
    batch_size: int = 64
    cache: OutputCache = field(default_factory=OutputCache)

    def __call__(self, examples: Sequence[Example]) -> VictimOutputs:
        """Probabilities ``[examples, choices]``, for examples of as many choices each; raises as `ClassifierVictim`."""
        count = len(examples[0]) - 1
        pairs = [(context, choice) for context, *choices in examples for choice in choices]
        encoded = batching.encoded(pairs, self.tokenizer, self.max_length_tokens)
        rows = [encoded[start : start + count] for start in range(0, len(encoded), count)]
        questions = [repr(row).encode() for row in rows]
        return self.cache.of(questions, lambda indices: self._outputs([rows[index] for index in indices]))

    def characters_read(self, example: Example) -> tuple[int, ...]:
        """How many characters of each text the model reads, of the context beside any of the choices."""
        context, *choices = example
        read = [
            batching.characters_read((context, choice), self.tokenizer, self.max_length_tokens) for choice in choices
        ]
        return (max(of_context for of_context, _ in read), *(of_choice for _, of_choice in read))

    def _outputs(self, rows: list[list[batching.Tokens]]) -> VictimOutputs:
        lengths = [max(len(choice["input_ids"]) for choice in row) for row in rows]
        size = max(1, batching.largest_batch(self.model, self.batch_size) // len(rows[0]))
        return batching.as_outputs(torch.stack(batching.in_batches(rows, lengths, size, self._of_batch)))

    def _of_batch(self, rows: list[list[batching.Tokens]]) -> list[Tensor]:
        self.model.eval()
        features = [{name: [choice[name] for choice in row] for name in row[0]} for row in rows]
        batch = {name: values.to(self.model.device) for name, values in PaddedChoices(self.tokenizer)(features).items()}
        with torch.inference_mode():
            logits = self.model(**batch).logits
        batching.check_finite(logits)
        return list(probabilities(logits))
