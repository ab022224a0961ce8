"""How similar texts are in meaning, by an encoder's mean hidden states (Reimers & Gurevych 2019, arXiv:1908.10084)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from alum.attacks.text.output_cache import OutputCache
from alum.attacks.text.protocol import VictimOutputs
from alum.attacks.text.worded import Example
from alum.data.padding import PaddedTokens
from alum.models.model_parts import base_transformer


@dataclass(frozen=True)
class SentenceSimilarity:
    """The cosine of the angle between the mean hidden states of two texts, cut at ``max_length_tokens``.

    Of examples of several texts it is that of the two least similar ones. Any encoder will do, or the encoder of an
    encoder-decoder; one that was trained to tell meanings apart does better.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    max_length_tokens: int
    batch_size: int = 64
    cache: OutputCache = field(default_factory=lambda: OutputCache(max_entries=20_000))

    def __call__(self, original: Example, examples: Sequence[Example]) -> NDArray[np.float64]:
        """``[examples]``."""
        texts = [text for example in (original, *examples) for text in example]
        vectors = self.cache.of([text.encode() for text in texts], lambda new: self._vectors([texts[i] for i in new]))
        vectors = vectors.reshape(1 + len(examples), len(original), -1)
        cosines = (vectors[1:] * vectors[:1]).sum(-1)
        same = np.array([[a == b for a, b in zip(original, example, strict=True)] for example in examples])
        return np.asarray(np.where(same, 1.0, cosines).min(-1))

    def _vectors(self, texts: list[str]) -> VictimOutputs:
        """Of length 1, ``[texts, hidden]``."""
        encoded = self.tokenizer(texts, truncation=True, max_length=self.max_length_tokens)
        rows = [{name: list(encoded[name][i]) for name in encoded} for i in range(len(texts))]
        size = self.batch_size if getattr(self.model.config, "pad_token_id", None) is not None else 1
        longest_first = sorted(range(len(rows)), key=lambda index: -len(rows[index]["input_ids"]))
        batches = [longest_first[start : start + size] for start in range(0, len(rows), size)]
        means = torch.cat([self._means([rows[index] for index in batch]) for batch in batches])
        vectors = torch.nn.functional.normalize(means.double(), dim=-1)
        return np.asarray(vectors.cpu().numpy()[np.argsort(longest_first)])

    def _means(self, rows: list[dict[str, list[int]]]) -> torch.Tensor:
        encoder = base_transformer(self.model)
        if getattr(self.model.config, "is_encoder_decoder", False):
            encoder = self.model.get_encoder()
        self.model.eval()
        batch = {name: values.to(self.model.device) for name, values in PaddedTokens(self.tokenizer)(rows).items()}
        with torch.inference_mode():
            states = encoder(**batch).last_hidden_state.float()
        mask = batch["attention_mask"].unsqueeze(-1)
        means: torch.Tensor = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
        return means
