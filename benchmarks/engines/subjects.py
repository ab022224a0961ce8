"""Tiny models without dropout, rows to train them on, and a batch of these for each stage of training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers import (
    BertForMaskedLM,
    BertForSequenceClassification,
    GPT2LMHeadModel,
    PreTrainedModel,
)

from alum.data.pretraining.masking import MaskRate, TokenMasks
from alum.data.pretraining.tokenizer import train_wordpiece
from alum.tasks.base import TaskKind
from alum.tasks.kinds.language_modeling import CAUSAL_LM, MASKED_LM
from alum.tasks.kinds.sequence_classification import SEQUENCE_CLASSIFICATION
from alum.training.language_modeling import Supervise, stacked
from benchmarks.tiny_configs import tiny_bert, tiny_gpt2

Row = dict[str, Any]

NUM_ROWS, LENGTH, MASK_RATE = 16, 12, MaskRate(0.3, 0.3)
_SHORTEST = 5
_TOKENIZER = train_wordpiece(["a b c d e f g h i j k l m n o p"], 21, LENGTH)
_PAD, _FIRST, _LAST = _TOKENIZER.pad_token_id, _TOKENIZER.cls_token_id, _TOKENIZER.sep_token_id
_SIZE = len(_TOKENIZER)


@dataclass(frozen=True)
class Stage:
    """A kind of model, its rows, how they become a batch and, in pre-training, what of them is predicted."""

    kind: TaskKind
    model: Callable[[], PreTrainedModel]
    rows: Sequence[Row]
    collate: Callable[[list[Row]], dict[str, Tensor]]
    supervise: Supervise | None = None

    def fresh_model(self) -> PreTrainedModel:
        """Always the same random weights."""
        with torch.random.fork_rng():
            torch.manual_seed(5)
            model = self.model()
            for parameter in model.parameters():
                if parameter.dim() >= 2:
                    torch.nn.init.normal_(parameter, std=0.2)
        model.train()
        return model


_bert = partial(tiny_bert, _SIZE, 2, pad_token_id=_PAD)
_gpt2 = partial(tiny_gpt2, _SIZE, 2, pad_token_id=_PAD, bos_token_id=_FIRST, eos_token_id=_LAST)


def _words(length: int, seed: int) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    words: list[int] = torch.randint(5, _SIZE, (length - 2,), generator=generator).tolist()
    return [_FIRST, *words, _LAST]


def _padded(rows: list[Row]) -> dict[str, Tensor]:
    """To the longest row of a batch, which is another one in each process."""
    longest = max(len(row["input_ids"]) for row in rows)
    missing = [longest - len(row["input_ids"]) for row in rows]
    ids = [row["input_ids"] + [_PAD] * count for row, count in zip(rows, missing, strict=True)]
    mask = [[1] * (longest - count) + [0] * count for count in missing]
    labels = [row["labels"] for row in rows]
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask), "labels": torch.tensor(labels)}


_LENGTHS = [_SHORTEST + index % (LENGTH + 1 - _SHORTEST) for index in range(NUM_ROWS)]
_LABELLED = [{"input_ids": _words(length, index), "labels": index % 3 % 2} for index, length in enumerate(_LENGTHS)]
_PACKED = [{"input_ids": _words(LENGTH, 100 + index)} for index in range(NUM_ROWS)]

STAGES = {
    "fine-tuning": Stage(
        SEQUENCE_CLASSIFICATION, lambda: BertForSequenceClassification(_bert(num_labels=2)), _LABELLED, _padded
    ),
    "pre-training, masked": Stage(
        MASKED_LM,
        lambda: BertForMaskedLM(_bert()),
        _PACKED,
        stacked,
        Supervise(TokenMasks(_TOKENIZER), MASK_RATE),
    ),
    "pre-training, causal": Stage(CAUSAL_LM, lambda: GPT2LMHeadModel(_gpt2()), _PACKED, stacked, Supervise()),
}
