"""A sequence classifier, or regressor, as the victim of attacks on texts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from alum.attacks.text.output_cache import OutputCache
from alum.attacks.text.protocol import VictimOutputs
from alum.attacks.text.worded import Example
from alum.data.padding import PaddedTokens
from alum.evaluation.attacked import batching


def probabilities(logits: Tensor) -> Tensor:
    """Of the classes, ``[..., classes]``."""
    return logits.double().softmax(-1)


@dataclass(frozen=True)
class ClassifierVictim:
    """The class probabilities that a model gives to texts or pairs, which are cut at ``max_length_tokens``.

    ``outputs_of`` makes something else of its logits. Batches hold texts of about the same length. Texts of the same
    tokens are run once and have the very same answer; others differ in the last digits with what is in their batch.
    The weights must stay as they are.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    max_length_tokens: int
    batch_size: int = 64
    cache: OutputCache = field(default_factory=OutputCache)
    outputs_of: Callable[[Tensor], Tensor] = probabilities

    def __call__(self, examples: Sequence[Example]) -> VictimOutputs:
        """Probabilities ``[examples, classes]``.

        Raises `InputError` for text that is not Unicode and for logits that are not finite.
        """
        rows = batching.encoded(examples, self.tokenizer, self.max_length_tokens)
        questions = [repr(row).encode() for row in rows]
        return self.cache.of(questions, lambda indices: self._outputs([rows[index] for index in indices]))

    def characters_read(self, example: Example) -> tuple[int, ...]:
        """How many characters of each text the model reads; the others are cut off and can never matter.

        All of them, where the tokenizer does not tell where its tokens are.
        """
        return batching.characters_read(example, self.tokenizer, self.max_length_tokens)

    def _outputs(self, rows: list[batching.Tokens]) -> VictimOutputs:
        lengths = [len(row["input_ids"]) for row in rows]
        size = batching.largest_batch(self.model, self.batch_size)
        return batching.as_outputs(torch.stack(batching.in_batches(rows, lengths, size, self._of_batch)))

    def _of_batch(self, rows: list[batching.Tokens]) -> list[Tensor]:
        self.model.eval()
        batch = {name: values.to(self.model.device) for name, values in PaddedTokens(self.tokenizer)(rows).items()}
        with torch.inference_mode():
            logits = self.model(**batch).logits
        batching.check_finite(logits)
        return list(self.outputs_of(logits))
