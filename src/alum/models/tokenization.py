"""How texts become model inputs: by which tokenizer, and cut at which length."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import BatchEncoding, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Tokenization:
    """A tokenizer and the longest input in tokens, at which texts are cut."""

    tokenizer: PreTrainedTokenizerBase
    max_length_tokens: int

    def __call__(self, *texts: str | Sequence[str]) -> BatchEncoding:
        """Tokens of a text, or of a pair; of lists of them, a row for each."""
        encoding: BatchEncoding = self.tokenizer(*texts, truncation=True, max_length=self.max_length_tokens)
        return encoding
