"""Candidates that a masked language model predicts, for words that are masked (BAE) or stand there (BERT-Attack).

Garg & Ramakrishnan 2020, arXiv:2004.01970; Li et al. 2020, arXiv:2004.09984.
"""

import random
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alum.attacks.text.candidates.protected_words import is_protected
from alum.attacks.text.candidates.stop_words import is_stop_word
from alum.attacks.text.candidates.word_tokens import positions_within, word_tokens_of
from alum.attacks.text.protocol import Candidates, Consultation
from alum.attacks.text.worded import Place, WordedExample, WordedText, in_case_of
from alum.core.errors import InputError
from alum.data.padding import PaddedTokens
from alum.models.hooks.predicted_positions import head_sees_only
from alum.models.text_model import TextModel, in_batches


class WordQuestion(NamedTuple):
    """Question which words a masked language model expects in a place of an example."""

    example: WordedExample
    place: Place


# The words expected in each of some places, the likeliest first.
WordPredictions = Callable[[Sequence[WordQuestion]], Sequence[Sequence[str]]]

# A tokenized text, and the positions at which a language model is asked what it expects there.
AskedRow = tuple[dict[str, list[int]], Sequence[int]]

_MAX_PLACES_KNOWN = 10_000
# Of each are kept 48 ids and numbers a token: 50 MB where texts have 512. A search asks about one text at a time.
_MAX_TEXTS_KNOWN = 256
_NUM_PROPOSALS = 20
_TEXTS_IN_A_PASS = 16  # where every token is asked about: logits over a vocabulary are large


def predicted_candidates(predictions: WordPredictions) -> Candidates:
    """Candidates from predicted words, in the case of the old word, which itself is left out.

    Stop words and negations are left out too.
    """

    def ask(questions: Sequence[WordQuestion]) -> list[list[str]]:
        return [
            [in_case_of(old, new) for new in words if new.casefold() != old.casefold() and _may_stand_in(new)]
            for old, words in zip(
                (question.example.word(question.place) for question in questions), predictions(questions), strict=True
            )
        ]

    def candidates(example: WordedExample, place: Place, rng: random.Random) -> Consultation:
        return Consultation(ask, WordQuestion(example, place))

    return candidates


def _may_stand_in(word: str) -> bool:
    return not is_stop_word(word) and not is_protected(word)


def text_around(text: WordedText, word: int, max_length_tokens: int, instead: str | None = None) -> tuple[str, int]:
    """Text around a word, or around what stands there ``instead``, and the character at which that begins.

    A word is a token or more, and what is between words seldom more: so far on both sides, the word is not cut off.
    """
    at, reach = 2 * word + 1, max(2, max_length_tokens // 2)
    before = "".join(text.parts[max(0, at - reach) : at])
    return before + (instead or text.parts[at]) + "".join(text.parts[at + 1 : at + 1 + reach]), len(before)


def check_has_mask(text_model: TextModel) -> None:
    """Raises `InputError` for a tokenizer that has no mask or does not tell where its tokens are."""
    tokenizer = text_model.tokenizer
    if tokenizer.mask_token is None:
        raise InputError(
            f"{tokenizer.name_or_path or 'the tokenizer'} has no mask token: expected a masked language "
            "model, as BERT or RoBERTa, not one that predicts the next token."
        )
    word_tokens_of(tokenizer)


@dataclass(frozen=True, eq=False)
class MaskedWords:
    """Predicts words for masked places with a masked language model: the whole words among its ``top_k`` tokens.

    It reads the one text that the word stands in, and of a long one the words around it. Raises `InputError` for a
    tokenizer that has no mask or does not tell where its tokens are.
    """

    text_model: TextModel
    top_k: int = 50
    _known: OrderedDict[tuple[str, int], tuple[str, ...]] = field(default_factory=OrderedDict, init=False, repr=False)

    def __post_init__(self) -> None:
        check_has_mask(self.text_model)
        _ = self._words

    def __call__(self, questions: Sequence[WordQuestion]) -> list[tuple[str, ...]]:
        """Predicted words for each place, the likeliest first."""
        mask, length = str(self.text_model.tokenizer.mask_token), self.text_model.tokenization.max_length_tokens
        keys = [text_around(one.example.texts[one.place.text], one.place.word, length, mask) for one in questions]
        return _answered(self._known, keys, self._predicted, _MAX_PLACES_KNOWN)

    @cached_property
    def _words(self) -> dict[int, str]:
        return word_tokens_of(self.text_model.tokenizer).all_ids

    def _predicted(self, masked: Sequence[tuple[str, int]]) -> list[tuple[str, ...]]:
        rows = {number: row for number, one in enumerate(masked) if (row := self._asked(*one)) is not None}
        lengths = [len(features["input_ids"]) for features, _ in rows.values()]
        best = in_batches(list(rows.values()), lengths, self.text_model.largest_batch, self._best_ids)
        found: list[tuple[str, ...]] = [()] * len(masked)
        for number, ids in zip(rows, best, strict=True):
            found[number] = tuple(dict.fromkeys(self._words[id] for id in ids if id in self._words))
        return found

    def _asked(self, text: str, start: int) -> AskedRow | None:
        """Text with the position of the mask that begins at a character; None if it is cut off after all."""
        tokenizer, encoded = self.text_model.tokenizer, self.text_model.tokenization(text)
        end = start + len(str(tokenizer.mask_token))
        ids, offsets = encoded["input_ids"], encoded[0].offsets
        # The token's start may be that of a space before the mask.
        at = [position for position, id in enumerate(ids) if id == tokenizer.mask_token_id]
        at = [position for position in at if offsets[position][1] == end]
        return ({name: list(encoded[name]) for name in encoded}, at[:1]) if at else None

    def _best_ids(self, rows: Sequence[AskedRow]) -> list[list[int]]:
        logits = logits_at(self.text_model, rows)
        found: list[list[int]] = logits.topk(min(self.top_k, logits.shape[-1])).indices.tolist()
        return found


@dataclass(frozen=True, eq=False)
class UnmaskedWords:
    """Predicts words for places as they stand, unmasked, from the ``top_k`` tokens expected for each of their tokens.

    For a word of one token these are the whole words among them. For a word of several they are the ``top_k`` likeliest
    combinations of as many tokens, those of them that are one word: each token's log-probability is added up, as if the
    others stood as they do. It reads the one text that the word stands in, as `MaskedWords` does.
    """

    text_model: TextModel
    top_k: int = 48
    _known: "OrderedDict[str, _BestTokens]" = field(default_factory=OrderedDict, init=False, repr=False)

    def __post_init__(self) -> None:
        check_has_mask(self.text_model)

    def __call__(self, questions: Sequence[WordQuestion]) -> list[tuple[str, ...]]:
        """Predicted words for each place, the likeliest first."""
        length = self.text_model.tokenization.max_length_tokens
        texts = [text_around(one.example.texts[one.place.text], one.place.word, length) for one in questions]
        keys = [text for text, _ in texts]
        read = _answered(
            self._known, keys, lambda new: _best_tokens(self.text_model, new, self.top_k), _MAX_TEXTS_KNOWN
        )
        return [
            self._words(tokens, positions_within(tokens.offsets, text, start, start + len(one.example.word(one.place))))
            for tokens, (text, start), one in zip(read, texts, questions, strict=True)
        ]

    def _words(self, tokens: "_BestTokens", positions: Sequence[int]) -> tuple[str, ...]:
        if len(positions) == 1:
            known = word_tokens_of(self.text_model.tokenizer).all_ids
            found = [known.get(id, "") for id in tokens.best_ids[positions[0]].tolist()]
        else:
            tokenizer = self.text_model.tokenizer
            chosen = likeliest_combinations(
                [(tokens.best_ids[at].tolist(), tokens.log_probs[at].tolist()) for at in positions], self.top_k
            )
            found = [text.strip() for text in tokenizer.batch_decode(chosen, clean_up_tokenization_spaces=False)]
        return tuple(dict.fromkeys(word for word in found if word.isalpha()))


def likeliest_combinations(choices: Sequence[tuple[Sequence[int], Sequence[float]]], most: int) -> list[list[int]]:
    """Combinations of one id of each position whose log-probabilities add up to most: ``most``, the highest first.

    ``choices`` has the ids of each position with their log-probabilities, the highest first.

    >>> likeliest_combinations([([1, 2], [-1.0, -2.0]), ([3, 4], [-1.0, -1.5])], 3)
    [[1, 3], [1, 4], [2, 3]]
    """
    found: list[tuple[float, list[int]]] = [(0.0, [])] if choices else []
    for ids, log_probs in choices:
        longer = [
            (total + own, [*before, id])
            for total, before in found
            for id, own in zip(ids[:most], log_probs[:most], strict=True)
        ]
        found = sorted(longer, key=lambda one: -one[0])[:most]
    return [ids for _, ids in found]


@dataclass(frozen=True)
class _BestTokens:
    """Places of a text's tokens in it, and the tokens most expected at each, ``[length, top_k]``, in int32."""

    offsets: Sequence[tuple[int, int]]
    best_ids: Tensor
    log_probs: Tensor


def _best_tokens(text_model: TextModel, texts: Sequence[str], top_k: int) -> list[_BestTokens]:
    """Reads texts in common batches and gives the tokens that are most expected at each of theirs."""
    encoded = [text_model.tokenization(text) for text in texts]
    lengths = [len(one["input_ids"]) for one in encoded]
    rows: list[AskedRow] = [
        ({name: list(one[name]) for name in one}, range(length)) for one, length in zip(encoded, lengths, strict=True)
    ]

    def run(batch: list[AskedRow]) -> list[tuple[Tensor, Tensor]]:
        logits = logits_at(text_model, batch)
        best = logits.topk(min(top_k, logits.shape[-1]))
        ids, log_probs = best.indices.int().cpu(), (best.values - logits.logsumexp(-1, keepdim=True)).cpu()
        sizes = [len(positions) for _, positions in batch]
        # Copies: what is kept of a text keeps no other's.
        return [(one.clone(), own.clone()) for one, own in zip(ids.split(sizes), log_probs.split(sizes), strict=True)]

    found = in_batches(rows, lengths, min(_TEXTS_IN_A_PASS, text_model.largest_batch), run)
    return [_BestTokens(one[0].offsets, *own) for one, own in zip(encoded, found, strict=True)]


def logits_at(text_model: TextModel, rows: Sequence[AskedRow]) -> Tensor:
    """Logits at the positions asked about, one row after the other, ``[positions, vocabulary]``, in fp32.

    No other position goes through the model's head, whose outputs are most of what such a pass takes.
    """
    inputs = PaddedTokens(text_model.tokenizer, side="right")([features for features, _ in rows])
    length, device = inputs["input_ids"].shape[1], text_model.model.device
    flat = [row * length + position for row, (_, positions) in enumerate(rows) for position in positions]
    with head_sees_only(text_model.model, torch.tensor(flat, dtype=torch.long, device=device)):
        logits: Tensor = text_model.outputs(inputs).logits[0]
    return logits.float()


def _answered(
    known: OrderedDict[Any, Any], keys: Sequence[Any], answer: Callable[[list[Any]], list[Any]], max_known: int
) -> list[Any]:
    """Answers to questions by their keys: those known, and those that ``answer`` gives to the others at once.

    The ``max_known`` that were asked for last are remembered.
    """
    new = [key for key in dict.fromkeys(keys) if key not in known]
    answers = {key: known[key] for key in keys if key in known} | dict(
        zip(new, answer(new) if new else (), strict=True)
    )
    for key, value in answers.items():
        known[key] = value
        known.move_to_end(key)
    while len(known) > max_known:
        known.popitem(last=False)
    return [answers[key] for key in keys]


@dataclass(frozen=True, eq=False)
class ProposedWords:
    """Words that a masked language model proposed for the words of some texts: `WordPredictions` by look-up.

    Differs from `MaskedWords`: nothing is masked, as in Li et al. 2020 (arXiv:2004.09984), so that a single pass over
    a text serves all its words. There the 48 likeliest tokens stand in, parts of words among them; here the 20
    likeliest whole words, in the places of words of one token. Stop words and those that were cut off have none,
    and neither stop words nor negations are proposed.
    """

    words: Mapping[int, str]
    """Words by token id."""
    proposals: Mapping[str, tuple[NDArray[np.int32], NDArray[np.int32]]]
    """By text: indices of its words ``[words]``, and the ids of those proposed ``[words, proposals]``, best first."""

    @classmethod
    def of(cls, text_model: TextModel, texts: Iterable[str]) -> "ProposedWords":
        """Asks the model about each text once, however often it comes, in batches of about the same length."""
        word_tokens, distinct = word_tokens_of(text_model.tokenizer), list(dict.fromkeys(texts))
        words = {id: word for id, word in word_tokens.all_ids.items() if _may_stand_in(word)}
        rows, places = [], []
        for text in distinct:
            encoded, example = text_model.tokenization(text), WordedExample.of((text,))
            open_places = [place for place in example.places((0,)) if not is_stop_word(example.word(place))]
            positions = word_tokens.positions(encoded[0], example, open_places)
            rows.append(({name: list(encoded[name]) for name in encoded}, list(positions.values())))
            places.append(np.array([place.word for place in positions], np.int32))
        ids = in_batches(
            rows,
            [len(features["input_ids"]) for features, _ in rows],
            min(_TEXTS_IN_A_PASS, text_model.largest_batch),
            lambda some: _likeliest(text_model, some, torch.tensor(sorted(words))),
        )
        return cls(words, dict(zip(distinct, zip(places, ids, strict=True), strict=True)))

    def __call__(self, questions: Sequence[WordQuestion]) -> list[tuple[str, ...]]:
        """Proposed words for each place of an example of unchanged texts, the likeliest first."""
        return [self._of_place(*question) for question in questions]

    def _of_place(self, example: WordedExample, place: Place) -> tuple[str, ...]:
        places, ids = self.proposals.get(str(example.texts[place.text]), (np.empty(0, np.int32),) * 2)
        (rows,) = np.nonzero(places == place.word)
        return tuple(self.words[id] for row in rows for id in ids[row].tolist())


def _likeliest(text_model: TextModel, rows: Sequence[AskedRow], among: Tensor) -> list[NDArray[np.int32]]:
    """Ids of the likeliest tokens of some, at positions of each row's text, ``[positions, proposals]``."""
    logits = logits_at(text_model, rows)
    ids = among.to(logits.device)
    best = ids[logits[:, ids].topk(min(_NUM_PROPOSALS, len(ids))).indices].cpu().numpy().astype(np.int32)
    bounds = np.cumsum([len(positions) for _, positions in rows])
    return np.split(best, bounds[:-1])
