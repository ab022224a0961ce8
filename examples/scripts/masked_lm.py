"""Masked language modelling on plain text, of the shape of transformers' run_mlm; three lines make it ALUM.

    python masked_lm.py --model_name_or_path bert-base-uncased --train_file train.txt --validation_file dev.txt \
        --output_dir out --adv_method alum_one_pass

The files are plain text, which is joined and cut to sequences of full length.
"""

import math
from dataclasses import dataclass
from itertools import chain

from datasets import load_dataset
from transformers import (
    AutoModelForMaskedLM,
    AutoTokenizer,
    DataCollatorForLanguageModeling,
    HfArgumentParser,
    set_seed,
)

from alum import AlumConfig, AlumTrainer  # 1, instead of: from transformers import Trainer, TrainingArguments


@dataclass
class Arguments:
    """Model and data."""

    model_name_or_path: str
    train_file: str
    validation_file: str
    max_length: int = 128
    mlm_probability: float = 0.15


def main() -> None:
    settings = (Arguments, AlumConfig)  # 2, instead of: (Arguments, TrainingArguments)
    arguments, training = HfArgumentParser(settings).parse_args_into_dataclasses()
    set_seed(training.seed)
    rows = load_dataset("text", data_files={"train": arguments.train_file, "validation": arguments.validation_file})
    tokenizer = AutoTokenizer.from_pretrained(arguments.model_name_or_path)
    model = AutoModelForMaskedLM.from_pretrained(arguments.model_name_or_path)

    def packed(batch: dict[str, list[list[int]]]) -> dict[str, list[list[int]]]:
        """Joins the lines and cuts them to sequences of full length."""
        ids = list(chain.from_iterable(batch["input_ids"]))
        length = arguments.max_length
        return {"input_ids": [ids[start : start + length] for start in range(0, len(ids) - length + 1, length)]}

    tokens = rows.map(lambda row: tokenizer(row["text"]), batched=True, remove_columns=["text"])
    sequences = tokens.map(packed, batched=True, remove_columns=tokens["train"].column_names)
    trainer = AlumTrainer(  # 3, instead of: Trainer(
        model=model,
        args=training,
        train_dataset=sequences["train"],
        eval_dataset=sequences["validation"],
        processing_class=tokenizer,
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm_probability=arguments.mlm_probability),
    )
    trainer.train()
    print(f"perplexity {math.exp(trainer.evaluate()['eval_loss']):.3f}")


if __name__ == "__main__":
    main()
