"""Whole words that are one token of a tokenizer, found by tokenizing them, whatever kind of tokenizer it is."""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from transformers import PreTrainedTokenizerBase

from alum.attacks.text.candidates.protected_words import is_protected
from alum.attacks.text.worded import Place, WordedExample
from alum.core.errors import InputError

# What a word may come after: a space, nothing, or something else. Byte-level BPE has tokens of their own for a word
# after a space; SentencePiece treats the start of a text like a space; for WordPiece all are the same.
_CONTEXTS = ("a ", "", "(")


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Words with the one token of each, in one context: after a space, at the start of a text, or after a sign."""

    words: tuple[str, ...]
    token_ids: tuple[int, ...]

    @cached_property
    def numbers(self) -> dict[str, list[int]]:
        """Indices of the words by their case-folded form."""
        numbers: dict[str, list[int]] = {}
        for number, word in enumerate(self.words):
            numbers.setdefault(word.casefold(), []).append(number)
        return numbers

    @cached_property
    def protected(self) -> list[int]:
        """Indices of the words that are put in nowhere: negations."""
        return [number for number, word in enumerate(self.words) if is_protected(word)]


class TokensInTexts(Protocol):
    """Tokens of some texts, as `tokenizers.Encoding` has them: of each the index of its text, and its characters."""

    @property
    def sequence_ids(self) -> Sequence[int | None]: ...

    @property
    def offsets(self) -> Sequence[tuple[int, int]]: ...


@dataclass(frozen=True)
class WordTokens:
    """Whole words of a tokenizer's vocabulary: of letters alone, and one token each after a space.

    Raises `InputError` for a tokenizer that does not tell where its tokens are in the text.
    """

    tokenizer: PreTrainedTokenizerBase
    _vocabularies: dict[str, Vocabulary] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.tokenizer.is_fast:
            raise InputError(
                f"{type(self.tokenizer).__name__} does not tell where in a text its tokens are: expected a tokenizer "
                "of the tokenizers library (tokenizer.json)."
            )

    @cached_property
    def words(self) -> tuple[str, ...]:
        """All whole words, in the order of their token ids."""
        ids = sorted(set(self.tokenizer.get_vocab().values()) - set(self.tokenizer.all_special_ids))
        texts = self.tokenizer.batch_decode([[id] for id in ids], clean_up_tokenization_spaces=False)
        words = list(dict.fromkeys(word for text in texts if (word := text.strip()).isalpha()))
        return tuple(word for word, id in zip(words, self._single(words, "a "), strict=True) if id is not None)

    @cached_property
    def ignores_case(self) -> bool:
        """Whether the tokenizer makes no difference between capitals and small letters."""
        return bool(self._ids(["THE A"]) == self._ids(["the a"]))

    @cached_property
    def all_ids(self) -> dict[int, str]:
        """Words by token id, for the tokens that are a whole word in any context."""
        vocabularies = map(self._vocabulary, _CONTEXTS)
        return {id: word for known in vocabularies for word, id in zip(known.words, known.token_ids, strict=True)}

    def beside(self, word: str, token_id: int) -> Vocabulary | None:
        """Vocabulary of a context in which ``word`` is the token ``token_id``; None where there is no such context."""
        for context in _CONTEXTS:
            if self._single([word], context) == (token_id,):
                return self._vocabulary(context)
        return None

    def _vocabulary(self, context: str) -> Vocabulary:
        if context not in self._vocabularies:
            found = zip(self.words, self._single(self.words, context), strict=True)
            pairs = [(word, id) for word, id in found if id is not None]
            self._vocabularies[context] = Vocabulary(tuple(w for w, _ in pairs), tuple(id for _, id in pairs))
        return self._vocabularies[context]

    def positions(self, encoding: TokensInTexts, example: WordedExample, places: Sequence[Place]) -> dict[Place, int]:
        """Positions in the encoding of the words that are one token by itself and not cut off."""
        spans: dict[tuple[int, int, int], list[int]] = {}
        for position, span in _spans(encoding, example):
            spans.setdefault(span, []).append(position)
        starts = [text.starts() for text in example.texts]
        found = {}
        for place in places:
            start = starts[place.text][place.word]
            # Several tokens may have the same span: the bytes of one character.
            match spans.get((place.text, start, start + len(example.word(place)))):
                case [position]:
                    found[place] = position
        return found

    def _single(self, words: Sequence[str], context: str) -> tuple[int | None, ...]:
        """Token of each word after the context; None where a word is not one token beside the context's own."""
        before = self._ids([context.strip()])[0] if context else []
        after = [ids[len(before) :] if ids[: len(before)] == before else [] for ids in self._ids(words, context)]
        unknown = self.tokenizer.unk_token_id
        return tuple(ids[0] if len(ids) == 1 and ids[0] != unknown else None for ids in after)

    def _ids(self, words: Sequence[str], context: str = "") -> list[list[int]]:
        texts = [context + word for word in words]
        return self.tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []


def token_positions(encoding: TokensInTexts, example: WordedExample, places: Sequence[Place]) -> dict[Place, list[int]]:
    """Positions in the encoding of the tokens of each word that has any, and whose tokens are in no other word."""
    starts = [text.starts() for text in example.texts]
    bounds = {place: starts[place.text][place.word] for place in places}
    found: dict[Place, list[int]] = {}
    spans = sorted((text, start, end, position) for position, (text, start, end) in _spans(encoding, example))
    for place, start in bounds.items():
        end = start + len(example.word(place))
        inside = bisect_left(spans, (place.text, start, start, -1))
        own = []
        while inside < len(spans) and spans[inside][0] == place.text and spans[inside][1] < end:
            own.append(spans[inside])
            inside += 1
        if own and own[0][1] == start and all(last <= end for _, _, last, _ in own):
            found[place] = [position for *_, position in own]
    return found


def positions_within(offsets: Sequence[tuple[int, int]], text: str, start: int, end: int) -> list[int]:
    """Positions of the tokens that lie within some characters of a text, but for space that they begin with.

    A token that also has a sign before or behind these characters is none of theirs.

    >>> positions_within([(0, 1), (1, 6), (6, 7)], "a dogs.", 2, 6)
    [1]
    """
    return [
        position
        for position, (first, last) in enumerate(offsets)
        if first < last <= end
        and start < last
        and start <= first + len(text[first:last]) - len(text[first:last].lstrip())
    ]


def _spans(encoding: TokensInTexts, example: WordedExample) -> Iterator[tuple[int, tuple[int, int, int]]]:
    """Yields the position of each token of a text, and its text, first character and end, without space before it."""
    texts = example.joined()
    for position, (text, (start, end)) in enumerate(zip(encoding.sequence_ids, encoding.offsets, strict=True)):
        if text is not None:
            token = texts[text][start:end]  # some begin with the space before the word
            yield position, (text, start + len(token) - len(token.lstrip()), end)


_KNOWN: OrderedDict[str, WordTokens] = OrderedDict()
_MOST_KNOWN = 4


def word_tokens_of(tokenizer: PreTrainedTokenizerBase) -> WordTokens:
    """Whole words of a tokenizer, kept for equal ones: finding them in 30,000 tokens takes seconds."""
    found = WordTokens(tokenizer)
    key = f"{type(tokenizer).__name__} {tokenizer.backend_tokenizer.to_str()}"
    known = _KNOWN.setdefault(key, found)
    _KNOWN.move_to_end(key)
    if len(_KNOWN) > _MOST_KNOWN:
        _KNOWN.popitem(last=False)
    return known
