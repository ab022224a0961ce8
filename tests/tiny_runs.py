"""Training runs of a few steps on random data, on the CPU."""

import gc
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, Trainer, TrainingArguments

from alum.core.methods import METHODS
from alum.training.config import AlumConfig
from alum.training.trainer import AlumTrainer
from tiny_models import CLS, MASK, PAD, SEP, VOCAB_SIZE

Rows = list[dict[str, Tensor]]

STEPS: dict[str, Any] = {
    "max_steps": 4,
    "per_device_train_batch_size": 8,
    "learning_rate": 0.05,
    "optim": "sgd",
    "lr_scheduler_type": "constant",
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": "none",
    "use_cpu": True,
    "disable_tqdm": True,
    "dataloader_pin_memory": False,
}
FOR_ANY_MODEL = tuple(name for name, row in METHODS.items() if not row.is_for_language_models)

# The Trainer collects garbage after training, and looking through all imported modules took longer than training did.
gc.freeze()


def sentences(count: int = 16, length: int = 8, seed: int = 0) -> Rows:
    """Random words of one length, the last of them padding in some rows."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for index in range(count):
        words = torch.randint(MASK + 1, VOCAB_SIZE, (length - 2,), generator=generator)
        ids = torch.cat((torch.tensor([CLS]), words, torch.tensor([SEP])))
        attention_mask = torch.ones_like(ids)
        if index % 3 == 0:
            ids[-2:], attention_mask[-2:] = PAD, 0
        rows.append({"input_ids": ids, "attention_mask": attention_mask})
    return rows


def labelled_sentences(count: int = 16, seed: int = 0) -> Rows:
    """The label, 0 or 1, says which half of the vocabulary the first word is from."""
    return [{**row, "labels": (row["input_ids"][1] >= VOCAB_SIZE // 2).long()} for row in sentences(count, seed=seed)]


def scored_sentences(count: int = 16, seed: int = 0) -> Rows:
    return [{**row, "labels": row["input_ids"][1] / VOCAB_SIZE} for row in sentences(count, seed=seed)]


def answered_sentences(count: int = 16, seed: int = 0) -> Rows:
    """Spans of one to three tokens, which begin at the first to third word."""
    return [
        {
            **row,
            "start_positions": torch.tensor(1 + index % 3),
            "end_positions": torch.tensor(1 + index % 3 + index % 2),
        }
        for index, row in enumerate(sentences(count, seed=seed))
    ]


def masked_sentences(count: int = 16, seed: int = 0, first: int = 1) -> Rows:
    """One to five tokens from the ``first`` on are masked, so that batches differ in their number of predicted ones."""
    rows = []
    for index, row in enumerate(sentences(count, seed=seed)):
        labels = torch.full_like(row["input_ids"], -100)
        here = slice(first, first + 1 + index % 5)
        labels[here] = row["input_ids"][here]
        rows.append({**row, "input_ids": row["input_ids"].masked_fill(labels != -100, MASK), "labels": labels})
    return rows


def config(folder: Path, **settings: Any) -> AlumConfig:
    """Four steps of plain gradient descent on batches of eight, logged one by one.

    The adversary is not measured, since that takes about as long as all else of a step.
    """
    return AlumConfig(**_arguments(folder, {"adv_gain_draws": 0, **settings}))


def measuring_config(folder: Path, **settings: Any) -> AlumConfig:
    """The same, with the adversary measured as it is by default."""
    return AlumConfig(**_arguments(folder, settings))


def plain_config(folder: Path, **settings: Any) -> TrainingArguments:
    return TrainingArguments(**_arguments(folder, settings))


def _arguments(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    return {"output_dir": str(folder), **STEPS, **settings}


def trained(
    model: PreTrainedModel,
    arguments: TrainingArguments,
    rows: Rows,
    trainer_class: type[Trainer] = AlumTrainer,
    **options: Any,
) -> Trainer:
    """The trainer after ``train()``; making it sets the seed of the arguments."""
    trainer = trainer_class(model=model, args=arguments, train_dataset=rows, **options)
    trainer.train()
    return trainer


def logged(trainer: Trainer, name: str) -> list[float]:
    return [entry[name] for entry in trainer.state.log_history if name in entry and "learning_rate" in entry]


def weights(trainer: Trainer) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in trainer.model.named_parameters()}
