"""Masks for masked language modelling: new ones each time in training, fixed ones for validation."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerBase


class TrainingMasks:
    """Dynamic masking, 80/10/10 (Devlin et al. 2019, section 3.1; Liu et al. 2019, section 4.1).

    A batch's masks follow from the seed, the epoch and the batch itself. Drawn from the global random state they would
    differ in a resumed run, which has not drawn those of the batch after the checkpoint in advance.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, mask_rate: float, seed: int = 0) -> None:
        self._collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=mask_rate)
        self._seed = seed

    def __call__(self, rows: list[dict[str, Any]], epoch: int) -> dict[str, Tensor]:
        content = f"{self._seed}:{epoch}:{[row['input_ids'] for row in rows]}"
        with _seeded(int.from_bytes(hashlib.sha256(content.encode()).digest()[:8], "big")):
            return dict(self._collator(rows))


def fixed_masks(sequences: Dataset, tokenizer: PreTrainedTokenizerBase, mask_rate: float, seed: int = 0) -> Dataset:
    """The sequences with masks drawn once from ``seed``, so that losses of different runs and times are comparable."""
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=mask_rate)
    with _seeded(seed):
        batch = collator([dict(row) for row in sequences])
    return Dataset.from_dict({name: values.tolist() for name, values in batch.items()})


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draws on the CPU follow from ``seed``; the random states outside, those of GPUs too, stay as they are."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
