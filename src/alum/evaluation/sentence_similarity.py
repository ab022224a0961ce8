"""Similarity of texts in meaning, by an encoder's mean hidden states (Reimers & Gurevych 2019, arXiv:1908.10084)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from alum.attacks.text.output_cache import OutputCache
from alum.attacks.text.protocol import VictimOutputs
from alum.attacks.text.worded import Example
from alum.data.padding import PaddedTokens
from alum.models.model_parts import base_transformer
from alum.models.text_model import TextModel, in_batches, inferred


@dataclass(frozen=True)
class SentenceSimilarity:
    """Similarity of two texts: the cosine of the angle between an encoder's mean hidden states.

    Of examples of several texts it is that of the two least similar ones. Any encoder will do, or the encoder of an
    encoder-decoder; one that was trained to tell meanings apart does better.
    """

    text_model: TextModel
    vectors: OutputCache = field(default_factory=lambda: OutputCache(max_entries=20_000))

    def __call__(self, original: Example, examples: Sequence[Example]) -> NDArray[np.float64]:
        """Similarity of each example to the original one, ``[examples]``."""
        texts = [text for example in (original, *examples) for text in example]
        vectors = self.vectors.of([text.encode() for text in texts], lambda new: self._vectors([texts[i] for i in new]))
        vectors = vectors.reshape(1 + len(examples), len(original), -1)
        cosines = (vectors[1:] * vectors[:1]).sum(-1)
        same = np.array([[a == b for a, b in zip(original, example, strict=True)] for example in examples])
        return np.asarray(np.where(same, 1.0, cosines).min(-1))

    def without_memory(self) -> "SentenceSimilarity":
        """Gives the same similarity, which has not met any text yet."""
        return SentenceSimilarity(self.text_model)

    def _vectors(self, texts: list[str]) -> VictimOutputs:
        """Of length 1, ``[texts, hidden]``."""
        encoded = self.text_model.tokenization(texts)
        rows = [{name: list(encoded[name][i]) for name in encoded} for i in range(len(texts))]
        lengths = [len(row["input_ids"]) for row in rows]
        means = torch.stack(in_batches(rows, lengths, self.text_model.largest_batch, self._means))
        return np.asarray(torch.nn.functional.normalize(means.double(), dim=-1).cpu().numpy())

    def _means(self, rows: list[dict[str, list[int]]]) -> list[torch.Tensor]:
        """The mean hidden state of each row."""
        model = self.text_model.model
        is_encoder_decoder = getattr(model.config, "is_encoder_decoder", False)
        encoder = model.get_encoder() if is_encoder_decoder else base_transformer(model)
        batch = PaddedTokens(self.text_model.tokenizer)(rows)
        states = inferred(encoder, batch).last_hidden_state.float()
        mask = batch["attention_mask"].to(states.device).unsqueeze(-1)
        return list((states * mask).sum(1) / mask.sum(1).clamp(min=1))
