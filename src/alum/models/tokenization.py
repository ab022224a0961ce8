"""Tokenization of texts to model inputs: by which tokenizer, and truncated at which length."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import BatchEncoding, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Tokenization:
    """Tokenizer with the longest input in tokens, at which texts are truncated."""

    tokenizer: PreTrainedTokenizerBase
    max_length_tokens: int

    def __call__(self, *texts: str | Sequence[str]) -> BatchEncoding:
        """Tokenizes a text or a pair, or lists of them, a row for each."""
        encoding: BatchEncoding = self.tokenizer(*texts, truncation=True, max_length=self.max_length_tokens)
        return encoding
