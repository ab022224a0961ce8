"""Causal language modelling on plain text, of the shape of transformers' run_clm; three lines make it ALUM.

    python causal_lm.py --model_name_or_path gpt2 --train_file train.txt --validation_file dev.txt \
        --output_dir out --adv_method alum_one_pass

The files are plain text, which is joined and cut to sequences of full length.
"""

import math
from dataclasses import dataclass
from itertools import chain

from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, HfArgumentParser, default_data_collator, set_seed

from alum import AlumConfig, AlumTrainer  # 1, instead of: from transformers import Trainer, TrainingArguments


@dataclass
class Arguments:
    """Model and data."""

    model_name_or_path: str
    train_file: str
    validation_file: str
    max_length: int = 128


def main() -> None:
    settings = (Arguments, AlumConfig)  # 2, instead of: (Arguments, TrainingArguments)
    arguments, training = HfArgumentParser(settings).parse_args_into_dataclasses()
    set_seed(training.seed)
    rows = load_dataset("text", data_files={"train": arguments.train_file, "validation": arguments.validation_file})
    tokenizer = AutoTokenizer.from_pretrained(arguments.model_name_or_path)
    model = AutoModelForCausalLM.from_pretrained(arguments.model_name_or_path)

    def packed(batch: dict[str, list[list[int]]]) -> dict[str, list[list[int]]]:
        """Joins the lines and cuts them to sequences of full length, which are their own labels."""
        ids = list(chain.from_iterable(batch["input_ids"]))
        length = arguments.max_length
        sequences = [ids[start : start + length] for start in range(0, len(ids) - length + 1, length)]
        return {"input_ids": sequences, "labels": sequences}

    tokens = rows.map(lambda row: tokenizer(row["text"] + "\n"), remove_columns=["text"])
    sequences = tokens.map(packed, batched=True, remove_columns=tokens["train"].column_names)
    trainer = AlumTrainer(  # 3, instead of: Trainer(
        model=model,
        args=training,
        train_dataset=sequences["train"],
        eval_dataset=sequences["validation"],
        processing_class=tokenizer,
        data_collator=default_data_collator,
    )
    trainer.train()
    print(f"perplexity {math.exp(trainer.evaluate()['eval_loss']):.3f}")


if __name__ == "__main__":
    main()
