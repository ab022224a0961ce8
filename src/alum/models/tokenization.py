"""Tokenization of texts to model inputs: by which tokenizer, and truncated at which length."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import BatchEncoding, PreTrainedTokenizerBase

from alum.core.errors import InputError


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
        """Tokenizes a text or a pair, or lists of them, a row for each."""
        encoding: BatchEncoding = self.tokenizer(*texts, truncation=True, max_length=self.max_length_tokens)
        return encoding
