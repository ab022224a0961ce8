"""Other segmentations of words into a tokenizer's subwords, drawn at random: sub-word regularisation."""

import itertools
import json
import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from alum.core.errors import InputError
from alum.models.tokenization import Tokenization

DROPPED = 0.1
"""Share of merges or subwords that are passed over, as in the paper on BPE-dropout."""
SMOOTHING = 0.2
"""Exponent of a segmentation's probability under a unigram model, which Kudo 2018 calls α."""
_TRIES = 20
_MOST_CHARACTERS = 50  # of a word: scripts without spaces have none shorter than a sentence
_SPACES = ("Ġ", "▁")  # of byte-level BPE, and of SentencePiece
_BYTE = re.compile("<0x[0-9A-F]{2}>")  # token of a byte of a character that no subword has (byte fallback)

# Draws a segmentation of a word; None where there is none, as of characters that no subword has.
Segmentation = Callable[[str, random.Random], list[str] | None]


class Resegmentation:
    """Gives some words of an encoded text other subwords, of which the text is made up as well.

    BPE: merges are left out (BPE-dropout, Provilkov et al. 2020, arXiv:1910.13267). WordPiece: subwords are left out of
    the longest match (MaxMatch-dropout, Hiraoka 2022, arXiv:2209.04126). Unigram: drawn by the model's own
    probabilities (Kudo 2018, arXiv:1804.10959).

    Differs from these: they draw all words' segmentations, most of which stay; here as many words as asked for are
    drawn again until they are other ones. A word is what begins with a space, or as the tokenizer marks it; tokens of
    bytes, which stand for the characters that no subword has, stay.
    """

    def __init__(self, tokenization: Tokenization) -> None:
        """Raises `InputError` for a tokenizer whose subwords are found in another way."""
        tokenizer = tokenization.tokenizer
        model = _model_of(tokenizer)
        if model.get("end_of_word_suffix") or (model["type"] == "BPE" and model.get("continuing_subword_prefix")):
            raise _refused(tokenizer, "it marks subwords in a way of its own")
        self._prefix = str(model["continuing_subword_prefix"]) if model["type"] == "WordPiece" else ""
        self._segmentation = _SEGMENTATIONS[model["type"]](model)
        self._max_length_tokens = tokenization.max_length_tokens
        self._ids: Mapping[str, int] = tokenizer.get_vocab()
        self._tokens = {id: token for token, id in self._ids.items()}
        self._kept = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
        if model.get("byte_fallback"):
            self._kept |= {id for token, id in self._ids.items() if _BYTE.fullmatch(token)}

    def __call__(self, features: Mapping[str, Any], num_words: int, rng: random.Random) -> dict[str, Any]:
        """Draws other subwords for ``num_words`` words of an encoded text, or as many as have others and room.

        ``features`` are lists of a value for each token, not padded; new tokens have the values of the word's first.
        Raises `InputError` for rows of several sequences.
        """
        ids = features["input_ids"]
        if ids and not isinstance(ids[0], int):
            raise InputError(
                "the changes 'subwords' are for rows of one sequence, and these have several, as those of multiple "
                "choice do: choose other adv_text_changes."
            )
        words, room = self._words(ids), self._max_length_tokens - len(ids)
        found: dict[int, tuple[int, list[int]]] = {}
        for start, end in rng.sample(words, len(words)):
            if len(found) == num_words:
                break
            new = self._redrawn(ids[start:end], rng)
            if new is not None and len(new) - (end - start) <= room:
                room -= len(new) - (end - start)
                found[start] = end, new
        kept: list[int] = []  # place of the token that each one has its values of
        tokens: list[int] = []
        at = 0
        while at < len(ids):
            end, new = found.get(at, (at + 1, [ids[at]]))
            tokens += new
            kept += [at] * len(new)
            at = end
        rest = {
            name: [values[place] for place in kept] if _is_by_token(values, ids) else values
            for name, values in features.items()
        }
        return {**rest, "input_ids": tokens}

    def _words(self, ids: Sequence[int]) -> list[tuple[int, int]]:
        """First token of each word, and the one after it."""
        tokens = [None if id in self._kept else self._tokens[id] for id in ids]
        starts = [
            place
            for place, token in enumerate(tokens)
            if token is None or tokens[place - 1 : place] in ([], [None]) or self._begins_word(token)
        ]
        bounds = itertools.pairwise([*starts, len(ids)])
        return [(start, end) for start, end in bounds if tokens[start] is not None]

    def _begins_word(self, token: str) -> bool:
        return not token.startswith(self._prefix) if self._prefix else token.startswith(_SPACES)

    def _redrawn(self, ids: Sequence[int], rng: random.Random) -> list[int] | None:
        first, *others = (self._tokens[id] for id in ids)
        word = "".join((first, *(token.removeprefix(self._prefix) for token in others)))
        if len(word) > _MOST_CHARACTERS or (self._prefix and first.startswith(self._prefix)):  # its beginning is cut
            return None
        for _ in range(_TRIES):
            tokens = self._segmentation(word, rng)
            if tokens is None:
                return None
            new = [self._ids[token] for token in tokens]
            if new != list(ids) and self._kept.isdisjoint(new):  # a text may spell out the name of such a token
                return new
        return None


def _is_by_token(values: Any, ids: Sequence[int]) -> bool:
    return isinstance(values, Sequence) and len(values) == len(ids)


def _model_of(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Description of the model by which a tokenizer finds subwords."""
    if not tokenizer.is_fast:
        raise _refused(tokenizer, "it is not one of the tokenizers library (tokenizer.json)")
    model: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    if model["type"] not in _SEGMENTATIONS:
        raise _refused(tokenizer, f"its subwords are those of a model of the type {model['type']}")
    return model


def _refused(tokenizer: PreTrainedTokenizerBase, why: str) -> InputError:
    return InputError(
        f"{tokenizer.name_or_path or type(tokenizer).__name__} has no other segmentations that can be drawn here: "
        f"{why}. Expected BPE, WordPiece or Unigram; or leave the changes 'subwords' out."
    )


def without_some_merges(model: Mapping[str, Any], dropped: float = DROPPED) -> Segmentation:
    """BPE-dropout: of the merges that a word allows each is passed over with a probability, the best other one made."""
    pairs = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in model["merges"]]
    ranks, known = {pair: rank for rank, pair in enumerate(pairs)}, model["vocab"]

    def segmented(word: str, rng: random.Random) -> list[str] | None:
        parts = list(word)
        if not all(part in known for part in parts):
            return None
        while True:
            merges = [
                (ranks[pair], place)
                for place, pair in enumerate(itertools.pairwise(parts))
                if pair in ranks and rng.random() >= dropped
            ]
            if not merges:
                return parts
            _, place = min(merges)
            parts[place : place + 2] = [parts[place] + parts[place + 1]]

    return segmented


def without_some_matches(model: Mapping[str, Any], dropped: float = DROPPED) -> Segmentation:
    """MaxMatch-dropout: the longest subword comes first, each but single characters passed over with a probability."""
    known, prefix = model["vocab"], model["continuing_subword_prefix"]

    def segmented(word: str, rng: random.Random) -> list[str] | None:
        parts: list[str] = []
        start = 0
        while start < len(word):
            ends = range(len(word), start, -1)
            matches = ((end, (prefix if start else "") + word[start:end]) for end in ends)
            found = next(
                ((e, part) for e, part in matches if part in known and (e == start + 1 or rng.random() >= dropped)),
                None,
            )
            if found is None:
                return None
            start = found[0]
            parts.append(found[1])
        return parts

    return segmented


def by_unigrams(model: Mapping[str, Any], smoothing: float = SMOOTHING) -> Segmentation:
    """Unigram sampling: each segmentation is drawn by its probability to the power of ``smoothing``."""
    weights = {piece: math.exp(smoothing * score) for piece, score in model["vocab"]}
    longest = max(map(len, weights))

    def segmented(word: str, rng: random.Random) -> list[str] | None:
        sums = [1.0]  # weight of all segmentations of what is before each place
        for end in range(1, len(word) + 1):
            starts = range(max(0, end - longest), end)
            sums.append(sum(sums[start] * weights.get(word[start:end], 0.0) for start in starts))
        if not sums[-1]:
            return None
        parts: list[str] = []
        end = len(word)
        while end:
            starts = range(max(0, end - longest), end)
            (start,) = rng.choices(starts, [sums[start] * weights.get(word[start:end], 0.0) for start in starts])
            parts.insert(0, word[start:end])
            end = start
        return parts

    return segmented


_SEGMENTATIONS: dict[str, Callable[[Mapping[str, Any]], Segmentation]] = {
    "BPE": without_some_merges,
    "WordPiece": without_some_matches,
    "Unigram": by_unigrams,
}
