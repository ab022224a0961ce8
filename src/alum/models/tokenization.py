"""Tokenization of texts to model inputs: by which tokenizer, and truncated at which length."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import BatchEncoding, PreTrainedTokenizerBase

from alum.core.errors import InputError


@dataclass(frozen=True)
class ReadTokens:
    """Tokens that a model reads, of each the index of its text, None of none, and its characters there."""

    ids: Sequence[int]
    sequence_ids: Sequence[int | None]
    offsets: Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Tokenization:
    """Tokenizer with the longest input in tokens, at which texts are truncated."""

    tokenizer: PreTrainedTokenizerBase
    max_length_tokens: int

    def require_room(self, num_texts: int) -> None:
        """Raises `InputError` where the longest input has no room for text beside the tokenizer's special tokens."""
        special = self.tokenizer.num_special_tokens_to_add(pair=num_texts == 2)
        if self.max_length_tokens < special + num_texts:
            raise InputError(
                f"max_seq_length {self.max_length_tokens} leaves no room beside {special} special tokens: expected "
                f"{special + num_texts} or more."
            )

    def __call__(self, *texts: str | Sequence[str]) -> BatchEncoding:
        """Tokenizes a text or a pair, or lists of them, a row for each; of a pair the longer text is cut first."""
        if len(texts) == 1 or not self.tokenizer.is_fast:
            encoding: BatchEncoding = self.tokenizer(*texts, truncation=True, max_length=self.max_length_tokens)
            return encoding
        columns = [[text] if isinstance(text, str) else list(text) for text in texts]
        whole, kept = self._whole_and_kept(columns)
        rows: dict[str, list[Any]] = {
            name: [[row[place] for place in places] for row, places in zip(values, kept, strict=True)]
            for name, values in whole.items()
        }
        return BatchEncoding({name: values[0] for name, values in rows.items()} if isinstance(texts[0], str) else rows)

    def read(self, *example: str) -> ReadTokens:
        """Tokenizes a text or a pair, and tells where the tokens are in it; for tokenizers that know."""
        whole, (kept,) = self._whole_and_kept([[text] for text in example])
        ids, sequence_ids, offsets = whole[0].ids, whole[0].sequence_ids, whole[0].offsets
        return ReadTokens(
            ids=[ids[place] for place in kept],
            sequence_ids=[sequence_ids[place] for place in kept],
            offsets=[offsets[place] for place in kept],
        )

    def _whole_and_kept(self, columns: Sequence[Sequence[str]]) -> tuple[BatchEncoding, list[Sequence[int]]]:
        """Tokenizes texts or pairs whole; gives the places of the tokens of each row that are read too.

        The tokens are those that the tokenizer keeps itself. It makes rows of all that it cuts away beside them, as
        many as there are pieces of one text times those of the other: seconds, for pairs of 5,000 words.
        """
        whole: BatchEncoding = self.tokenizer(*columns, verbose=False)
        lengths = map(len, whole["input_ids"])
        return whole, [
            range(length) if length <= self.max_length_tokens else self._kept(whole[row].sequence_ids)
            for row, length in enumerate(lengths)
        ]

    def _kept(self, sequence_ids: Sequence[int | None]) -> list[int]:
        places = [[at for at, own in enumerate(sequence_ids) if own == text] for text in (0, 1)]
        special = [at for at, own in enumerate(sequence_ids) if own is None]
        room = self.max_length_tokens - len(special)
        shorter = min(len(places[0]), len(places[1]), room // 2)
        sizes = [shorter, room - shorter]
        if len(places[0]) > len(places[1]):
            sizes.reverse()
        is_left = self.tokenizer.truncation_side == "left"
        cut = [own[len(own) - size :] if is_left else own[:size] for own, size in zip(places, sizes, strict=True)]
        return sorted([*special, *cut[0], *cut[1]])
