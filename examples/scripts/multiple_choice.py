"""Multiple choice by the Trainer, of the shape of transformers' run_swag; three lines make it ALUM.

    python multiple_choice.py --model_name_or_path bert-base-uncased --train_file train.jsonl \
        --validation_file dev.jsonl --output_dir out --adv_method alum_one_pass

Rows are JSON lines with a ``context``, a list of its possible ``endings`` and the number of the right one, ``label``.
"""

from dataclasses import dataclass
from typing import Any

from datasets import load_dataset
from transformers import (
    AutoModelForMultipleChoice,
    AutoTokenizer,
    DataCollatorForMultipleChoice,
    EvalPrediction,
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


def accuracy(prediction: EvalPrediction) -> dict[str, float]:
    return {"accuracy": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


def main() -> None:
    settings = (Arguments, AlumConfig)  # 2, instead of: (Arguments, TrainingArguments)
    arguments, training = HfArgumentParser(settings).parse_args_into_dataclasses()
    set_seed(training.seed)
    rows = load_dataset("json", data_files={"train": arguments.train_file, "validation": arguments.validation_file})
    tokenizer = AutoTokenizer.from_pretrained(arguments.model_name_or_path)
    model = AutoModelForMultipleChoice.from_pretrained(arguments.model_name_or_path)

    def encoded(row: dict[str, Any]) -> dict[str, Any]:
        contexts = [row["context"]] * len(row["endings"])
        return dict(tokenizer(contexts, row["endings"], truncation=True, max_length=arguments.max_length))

    features = rows.map(encoded, remove_columns=["context", "endings"])
    trainer = AlumTrainer(  # 3, instead of: Trainer(
        model=model,
        args=training,
        train_dataset=features["train"],
        eval_dataset=features["validation"],
        processing_class=tokenizer,
        data_collator=DataCollatorForMultipleChoice(tokenizer),
        compute_metrics=accuracy,
    )
    trainer.train()
    print(f"accuracy {trainer.evaluate()['eval_accuracy']:.3f}")


if __name__ == "__main__":
    main()
