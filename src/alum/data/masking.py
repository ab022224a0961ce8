"""Masks for masked language modelling: new ones each time in training, fixed ones for validation."""

import torch
from datasets import Dataset
from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerBase, default_data_collator

__all__ = ["default_data_collator", "fixed_masks", "training_collator"]


def training_collator(tokenizer: PreTrainedTokenizerBase, mask_rate: float) -> DataCollatorForLanguageModeling:
    """Dynamic masking, 80/10/10 (Devlin et al. 2019, section 3.1; Liu et al. 2019, section 4.1)."""
    return DataCollatorForLanguageModeling(tokenizer, mlm_probability=mask_rate)


def fixed_masks(sequences: Dataset, tokenizer: PreTrainedTokenizerBase, mask_rate: float, seed: int = 0) -> Dataset:
    """The sequences with masks drawn once from ``seed``, so that losses of different runs and times are comparable."""
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=mask_rate)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        batch = collator([dict(row) for row in sequences])
    return Dataset.from_dict({name: values.tolist() for name, values in batch.items()})
