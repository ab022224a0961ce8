"""Padding of token sequences that have a label for each token."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from alum.core.divergences import IGNORED_LABEL


@dataclass(frozen=True)
class PaddedTokens:
    """Collates token sequences and their labels to ``[batch, length]``, padded to the longest, labels with -100.

    Tokenizers without a padding token (GPT-2's) are padded with the end-of-sequence token: the attention mask says
    what is padding, not the token. ``side`` overrides the tokenizer's.

    Differs from transformers' DataCollatorForTokenClassification, which refuses such tokenizers. Other columns than
    those of tokens are left out.
    """

    tokenizer: PreTrainedTokenizerBase
    side: Literal["left", "right"] | None = None

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Tensor]:
        tokenizer = self.tokenizer
        ids = (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)
        padding = {
            "input_ids": next(id for id in ids if id is not None),
            "attention_mask": 0,
            "token_type_ids": tokenizer.pad_token_type_id,
            "labels": IGNORED_LABEL,
        }
        side = self.side or tokenizer.padding_side
        length = max(len(feature["input_ids"]) for feature in features)

        def padded(row: list[int], value: int) -> list[int]:
            fill = [value] * (length - len(row))
            return [*fill, *row] if side == "left" else [*row, *fill]

        return {
            name: torch.tensor([padded(list(feature[name]), value) for feature in features])
            for name, value in padding.items()
            if name in features[0]
        }
