"""Gradients of a sequence classifier with respect to word embeddings, which attacks on texts follow."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from alum.attacks.text.candidates.word_tokens import WordTokens, word_tokens_of
from alum.attacks.text.searches.hotflip import WordGradient
from alum.attacks.text.worded import Example, Place, WordedExample
from alum.core.outputs.log_odds import log_odds_against
from alum.data.padding import PaddedTokens
from alum.evaluation.label_names import LabelMapping
from alum.models.hooks.injection import Injection
from alum.models.model_parts import word_embeddings
from alum.models.text_model import TextModel, on_device


@dataclass(frozen=True)
class ClassifierGradients:
    """Gradients of a classifier's log odds against a label with respect to the output of its word embeddings.

    A hook records that output. They point where the gradients of the cross-entropy do, which vanish where a model is
    sure. Of an encoder-decoder they are those of the encoder's embeddings. ``mapping`` is for models of other labels
    than the attacked ones. Raises `InputError` for a tokenizer that does not tell where its tokens are.
    """

    text_model: TextModel
    mapping: LabelMapping | None = None

    def __post_init__(self) -> None:
        _ = self._word_tokens

    @cached_property
    def embeddings(self) -> Tensor:
        module = word_embeddings(self.text_model.model)
        num_tokens = getattr(module, "num_embeddings", len(self.text_model.tokenizer))
        with torch.no_grad():  # through the module: some scale what they look up
            vectors: Tensor = module(torch.arange(num_tokens, device=self.text_model.model.device))
        return vectors

    @property
    def ignores_case(self) -> bool:
        return self._word_tokens.ignores_case

    def __call__(self, example: Example, places: Sequence[Place], label: int) -> list[WordGradient]:
        worded = WordedExample.of(example)
        encoded = self.text_model.tokenization(*example)
        positions = self._word_tokens.positions(encoded[0], worded, places)
        if not positions:
            return []
        gradient = self._gradient({name: list(encoded[name]) for name in encoded}, label)
        found = []
        for place, position in positions.items():
            word, token_id = worded.word(place), int(encoded["input_ids"][position])
            vocabulary = self._word_tokens.beside(word, token_id)
            if vocabulary is not None:
                found.append(WordGradient(place, word, token_id, gradient[position], vocabulary))
        return found

    @cached_property
    def _word_tokens(self) -> WordTokens:
        return word_tokens_of(self.text_model.tokenizer)

    def _gradient(self, row: dict[str, list[int]], label: int) -> Tensor:
        """``[length, hidden]``."""
        model = self.text_model.model
        model.eval()
        batch = on_device(PaddedTokens(self.text_model.tokenizer)([row]), model.device)
        with torch.enable_grad(), Injection(model).cutting() as x:
            logits = model(**batch).logits[0].float()
            if self.mapping is not None:
                logits = self.mapping.joined(logits)
            (gradient,) = torch.autograd.grad(log_odds_against(logits, torch.tensor(label, device=logits.device)), x())
        return gradient[0]
