"""Losses of words where they stand, by a masked language model: how much it is surprised to find them there.

Salazar et al. 2020, arXiv:1910.14659, for a text's pseudo-log-likelihood; of words of several tokens, the tokens to the
right in the same word are masked too, or those would give the word away: Kauf & Ivanova 2023, arXiv:2305.10588.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from alum.attacks.text.candidates.masked_lm import AskedRow, check_has_mask, logits_at, text_around
from alum.attacks.text.candidates.word_tokens import positions_within
from alum.attacks.text.worded import WordedText
from alum.models.text_model import TextModel, in_batches


class StandingWord(NamedTuple):
    """Word where it stands, by its index in a text that is split into words."""

    text: WordedText
    word: int


@dataclass(frozen=True, eq=False)
class WordLosses:
    """Measures -log p of words in nats: the sum over their tokens, the later ones masked, all else there to be read.

    Of a long text the surroundings of a word are read. Raises `InputError` for a tokenizer that has no mask or does not
    tell where its tokens are.
    """

    text_model: TextModel

    def __post_init__(self) -> None:
        check_has_mask(self.text_model)

    def __call__(self, words: Sequence[StandingWord]) -> list[float]:
        """Loss of each word; 0 of what has no token."""
        of_words = [self._masked(one) for one in words]
        numbers = [number for number, pairs in enumerate(of_words) for _ in pairs]
        pairs = [pair for own in of_words for pair in own]
        lengths = [len(features["input_ids"]) for (features, _), _ in pairs]
        losses = [0.0] * len(words)
        found = in_batches(pairs, lengths, self.text_model.largest_batch, self._of_batch)
        for number, loss in zip(numbers, found, strict=True):
            losses[number] += loss
        return losses

    def _masked(self, one: StandingWord) -> list[tuple[AskedRow, int]]:
        """Question about each token of the word, which is masked with those behind it, and the token."""
        tokenization, mask = self.text_model.tokenization, self.text_model.tokenizer.mask_token_id
        text, start = text_around(one.text, one.word, tokenization.max_length_tokens)
        end = start + len(one.text.word(one.word))
        encoded = tokenization(text)
        inside = positions_within(encoded[0].offsets, text, start, end)
        masked: list[tuple[AskedRow, int]] = []
        for number, position in enumerate(inside):
            row = {name: list(encoded[name]) for name in encoded}
            token = row["input_ids"][position]
            for later in inside[number:]:
                row["input_ids"][later] = mask
            masked.append(((row, [position]), token))
        return masked

    def _of_batch(self, pairs: Sequence[tuple[AskedRow, int]]) -> list[float]:
        log_probs = logits_at(self.text_model, [row for row, _ in pairs]).log_softmax(-1)
        tokens = torch.tensor([token for _, token in pairs], device=log_probs.device)
        found: list[float] = (-log_probs.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)).tolist()
        return found
