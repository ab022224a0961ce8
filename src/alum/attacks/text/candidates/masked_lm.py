"""Candidates that a masked language model predicts (BAE, Garg & Ramakrishnan 2020, arXiv:2004.01970)."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from alum.attacks.text.candidates.stop_words import is_stop_word
from alum.attacks.text.candidates.word_tokens import word_tokens_of
from alum.attacks.text.worded import Candidates, Place, WordedExample, WordedText, in_case_of
from alum.core.errors import InputError
from alum.data.padding import PaddedTokens
from alum.models.text_model import TextModel

# The words expected in a place of an example, whatever stands there now, the likeliest first.
WordPredictions = Callable[[WordedExample, Place], Sequence[str]]

_MAX_ENTRIES = 10_000


def predicted_candidates(predictions: WordPredictions) -> Candidates:
    """Candidates from predicted words, in the case of the old word; stop words and the word itself are left out."""

    def candidates(example: WordedExample, place: Place, rng: random.Random) -> list[str]:
        old = example.word(place)
        return [
            in_case_of(old, new)
            for new in predictions(example, place)
            if new.casefold() != old.casefold() and not is_stop_word(new)
        ]

    return candidates


@dataclass(frozen=True, eq=False)
class MaskedWords:
    """Predicts words with a masked language model: those of its ``top_k`` tokens that are whole words.

    It reads the one text that the word stands in, and of a long one the words around it. Raises `InputError` for a
    tokenizer that has no mask or does not tell where its tokens are.
    """

    text_model: TextModel
    top_k: int = 50

    def __post_init__(self) -> None:
        tokenizer = self.text_model.tokenizer
        if tokenizer.mask_token is None:
            raise InputError(
                f"{tokenizer.name_or_path or 'the tokenizer'} has no mask token: expected a masked language "
                "model, as BERT or RoBERTa, not one that predicts the next token."
            )
        _ = self._words

    def __call__(self, example: WordedExample, place: Place) -> tuple[str, ...]:
        """Predicted words for a place, the likeliest first."""
        text, masked_from = self._masked(example.texts[place.text], place.word)
        return self._cached(text, masked_from)

    @cached_property
    def _words(self) -> dict[int, str]:
        return word_tokens_of(self.text_model.tokenizer).all_ids

    @cached_property
    def _cached(self) -> Callable[[str, int], tuple[str, ...]]:
        return lru_cache(maxsize=_MAX_ENTRIES)(self._predicted)

    def _masked(self, text: WordedText, word: int) -> tuple[str, int]:
        """Text around the word with the mask in its place, and the character at which the mask begins."""
        mask, at = str(self.text_model.tokenizer.mask_token), 2 * word + 1
        # A word is a token or more, and what is between words seldom more: so far on both sides, the mask is not cut.
        reach = max(2, self.text_model.tokenization.max_length_tokens // 2)
        before = "".join(text.parts[max(0, at - reach) : at])
        return before + mask + "".join(text.parts[at + 1 : at + 1 + reach]), len(before)

    def _predicted(self, text: str, masked_from: int) -> tuple[str, ...]:
        tokenizer = self.text_model.tokenizer
        encoded = self.text_model.tokenization(text)
        end = masked_from + len(str(tokenizer.mask_token))
        positions = [
            position
            for position, (id, (_, token_end)) in enumerate(
                zip(encoded["input_ids"], encoded[0].offsets, strict=True)
            )  # the token's start may be that of a space before the mask
            if id == tokenizer.mask_token_id and token_end == end
        ]
        if not positions:  # cut off after all
            return ()
        row = {name: list(encoded[name]) for name in encoded}
        logits = self.text_model.outputs(PaddedTokens(tokenizer)([row])).logits[0, positions[0]]
        best = logits.topk(min(self.top_k, len(logits))).indices.tolist()
        return tuple(dict.fromkeys(self._words[id] for id in best if id in self._words))
