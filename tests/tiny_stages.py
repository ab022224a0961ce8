"""Settings for whole stages on the CPU in seconds, and model folders for them."""

import json
from pathlib import Path
from typing import Any

from transformers import BertConfig, BertForMaskedLM

from alum.data.pretraining.tokenizer import train_wordpiece
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.config import FinetuneConfig
from alum.stages.pretraining.arguments import PretrainArguments
from alum.stages.pretraining.config import PretrainConfig
from tiny_texts import opinions

LENGTH_TOKENS = 16

_QUIET = {
    "use_cpu": True,
    "disable_tqdm": True,
    "save_strategy": "no",
    "logging_steps": 10,
    "learning_rate": 1e-3,
    "adv_gain_draws": 1,
}


def pretrain_arguments(text: Path, **settings: Any) -> PretrainArguments:
    trains_tokenizer = not {"model_name_or_path", "tokenizer_name"} & settings.keys()
    size = {"vocab_size": 200} if trains_tokenizer else {}
    return PretrainArguments(**{"train_file": [str(text)], "max_seq_length": LENGTH_TOKENS, **size, **settings})


def pretrain_config(folder: Path, **settings: Any) -> PretrainConfig:
    return PretrainConfig(
        **{"output_dir": str(folder), "max_steps": 40, "per_device_train_batch_size": 16, **_QUIET, **settings}
    )


def finetune_arguments(model: Path, data: Path, **settings: Any) -> FinetuneArguments:
    return FinetuneArguments(
        **{
            "model_name_or_path": str(model),
            "data_dir": str(data),
            "text_columns": "text",
            "label_column": "label",
            **settings,
        }
    )


def finetune_config(folder: Path, **settings: Any) -> FinetuneConfig:
    return FinetuneConfig(**{"output_dir": str(folder), "num_train_epochs": 8, **_QUIET, **settings})


def save_untrained(folder: Path, length_tokens: int = LENGTH_TOKENS) -> Path:
    """A masked language model with random weights and its tokenizer, 16 wide."""
    tokenizer = train_wordpiece([row["text"] for row in opinions()], 120, length_tokens)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=length_tokens,
    )
    BertForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def record(path: Path | str) -> Any:
    """The value of a JSON file, where NaN and the like, which JSON does not have, are errors."""
    return json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_refuse)


def log_lines(path: Path | str) -> list[dict[str, Any]]:
    return [json.loads(line, parse_constant=_refuse) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
