"""Sentence or pair classification by the Trainer, of the shape of transformers' run_glue; three lines make it ALUM.

    python classification.py --model_name_or_path bert-base-uncased --train_file train.jsonl \
        --validation_file dev.jsonl --text_columns sentence --output_dir out --adv_method alum_one_pass

Rows are JSON lines with one or two text columns and a number from 0 as their ``label``.
"""

from dataclasses import dataclass, field

from datasets import load_dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
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
    text_columns: list[str] = field(default_factory=lambda: ["text"])
    max_length: int = 128


def accuracy(prediction: EvalPrediction) -> dict[str, float]:
    return {"accuracy": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


def main() -> None:
    settings = (Arguments, AlumConfig)  # 2, instead of: (Arguments, TrainingArguments)
    arguments, training = HfArgumentParser(settings).parse_args_into_dataclasses()
    set_seed(training.seed)
    rows = load_dataset("json", data_files={"train": arguments.train_file, "validation": arguments.validation_file})
    num_labels = len(set(rows["train"]["label"]))
    tokenizer = AutoTokenizer.from_pretrained(arguments.model_name_or_path)
    model = AutoModelForSequenceClassification.from_pretrained(arguments.model_name_or_path, num_labels=num_labels)
    features = rows.map(
        lambda row: tokenizer(
            *(row[name] for name in arguments.text_columns), truncation=True, max_length=arguments.max_length
        ),
        remove_columns=arguments.text_columns,
    )
    trainer = AlumTrainer(  # 3, instead of: Trainer(
        model=model,
        args=training,
        train_dataset=features["train"],
        eval_dataset=features["validation"],
        processing_class=tokenizer,
        compute_metrics=accuracy,
    )
    trainer.train()
    print(f"accuracy {trainer.evaluate()['eval_accuracy']:.3f}")


if __name__ == "__main__":
    main()
