"""What the trainings have in common that are measured step by step."""

from typing import Any

from transformers import BertConfig, PreTrainedModel, Trainer
from transformers.trainer_callback import PrinterCallback

STEPPED: dict[str, Any] = {
    "max_steps": 100_000,  # more than are taken
    "logging_strategy": "no",
    "save_strategy": "no",
    "report_to": "none",
    "disable_tqdm": True,
    "use_cpu": True,
}


def bert_config(
    vocab_size: int, hidden_size: int, num_layers: int, head_size: int = 32, max_length_tokens: int = 512
) -> BertConfig:
    """BERT's proportions: four times the width inside, dropout 0.1."""
    return BertConfig(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        intermediate_size=4 * hidden_size,
        num_hidden_layers=num_layers,
        num_attention_heads=max(hidden_size // head_size, 1),
        max_position_embeddings=max_length_tokens,
    )


def model_of(trainer: Trainer) -> PreTrainedModel:
    assert isinstance(trainer.model, PreTrainedModel)
    return trainer.model


def train_silently(trainer: Trainer) -> None:
    """To the end of its steps, without printing what it logs."""
    trainer.remove_callback(PrinterCallback)
    trainer.train()
