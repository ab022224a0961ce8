"""Gradients of a sequence classifier with respect to word embeddings, which attacks on texts follow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from alum.attacks.text.candidates.word_tokens import WordTokens, token_positions, word_tokens_of
from alum.attacks.text.searches.gradients import GradientQuestion, WordGradient
from alum.attacks.text.worded import Example, Place, WordedExample
from alum.core.outputs.log_odds import log_odds_against
from alum.data.padding import PaddedTokens
from alum.evaluation.label_names import LabelMapping
from alum.models.hooks.injection import Injection
from alum.models.model_parts import word_embeddings
from alum.models.text_model import TextModel, in_batches, on_device
from alum.models.tokenization import ReadTokens

_TOKENS_AT_ONCE = 4096
"""Tokens of the texts that are differentiated together: their activations are kept, a gigabyte of a base model."""


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

    def at_words(self, questions: Sequence[GradientQuestion]) -> list[list[WordGradient]]:
        read = [self.read(question.example) for question in questions]
        worded = [WordedExample.of(question.example) for question in questions]
        positions = [
            self._word_tokens.positions(tokens, example, question.places)
            for tokens, example, question in zip(read, worded, questions, strict=True)
        ]
        gradients = self._gradients_of(questions, positions)
        found = []
        for tokens, example, own, gradient in zip(read, worded, positions, gradients, strict=True):
            words = [(place, example.word(place), tokens.ids[position], position) for place, position in own.items()]
            vocabularies = [self._word_tokens.beside(word, token_id) for _, word, token_id, _ in words]
            found.append(
                [
                    WordGradient(place, word, token_id, gradient[position], vocabulary)
                    for (place, word, token_id, position), vocabulary in zip(words, vocabularies, strict=True)
                    if vocabulary is not None
                ]
            )
        return found

    def importance(self, questions: Sequence[GradientQuestion]) -> list[Mapping[Place, float]]:
        positions = [
            token_positions(self.read(question.example), WordedExample.of(question.example), question.places)
            for question in questions
        ]
        return [
            {place: float(gradient[at].mean(0).abs().sum()) for place, at in own.items()}
            for own, gradient in zip(positions, self._gradients_of(questions, positions), strict=True)
        ]

    def read(self, example: Example) -> ReadTokens:
        """Tokens that the model reads of an example, and where they are in its texts."""
        return self.text_model.tokenization.read(*example)

    @cached_property
    def _word_tokens(self) -> WordTokens:
        return word_tokens_of(self.text_model.tokenizer)

    def _gradients_of(
        self, questions: Sequence[GradientQuestion], positions: Sequence[Mapping[Place, Any]]
    ) -> list[Tensor]:
        """Gradients of each question's example, ``[length, hidden]``; empty where none of its places has a position."""
        asked = [index for index, own in enumerate(positions) if own]
        found = [torch.empty(0, 0)] * len(questions)
        if asked:
            some = [questions[index] for index in asked]
            gradients = self.gradients([one.example for one in some], [one.label for one in some])
            for index, gradient in zip(asked, gradients, strict=True):
                found[index] = gradient
        return found

    def gradients(self, examples: Sequence[Example], labels: Sequence[int]) -> list[Tensor]:
        """Gradients at each of the tokens that are read of each example, ``[length, hidden]``."""
        encoded = [self.text_model.tokenization(*example) for example in examples]
        rows = [({name: list(one[name]) for name in one}, label) for one, label in zip(encoded, labels, strict=True)]
        lengths = [len(row["input_ids"]) for row, _ in rows]
        at_once = max(1, min(self.text_model.largest_batch, _TOKENS_AT_ONCE // max(lengths)))
        return in_batches(rows, lengths, at_once, self._of_batch)

    def _of_batch(self, rows: Sequence[tuple[dict[str, list[int]], int]]) -> list[Tensor]:
        model, tokenizer = self.text_model.model, self.text_model.tokenizer
        model.eval()
        batch = on_device(PaddedTokens(tokenizer)([row for row, _ in rows]), model.device)
        labels = torch.tensor([label for _, label in rows], device=model.device)
        with torch.enable_grad(), Injection(model).cutting() as x:
            logits = model(**batch).logits.float()
            if self.mapping is not None:
                logits = self.mapping.joined(logits)
            (gradients,) = torch.autograd.grad(log_odds_against(logits, labels).sum(), x())
        lengths = [len(row["input_ids"]) for row, _ in rows]
        is_left = tokenizer.padding_side == "left"
        return [
            gradient[len(gradient) - length :] if is_left else gradient[:length]
            for gradient, length in zip(gradients, lengths, strict=True)
        ]
