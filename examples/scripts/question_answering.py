"""Extractive question answering by the Trainer, of the shape of transformers' run_qa; three lines make it ALUM.

    python question_answering.py --model_name_or_path bert-base-uncased --train_file train.jsonl \
        --validation_file dev.jsonl --output_dir out --adv_method alum_one_pass

Rows are JSON lines in SQuAD's columns: ``question``, ``context``, ``answers`` with ``text`` and ``answer_start``.
"""

from dataclasses import dataclass
from typing import Any

from datasets import load_dataset
from transformers import (
    AutoModelForQuestionAnswering,
    AutoTokenizer,
    EvalPrediction,
    HfArgumentParser,
    default_data_collator,
    set_seed,
)

from alum import AlumConfig, AlumTrainer  # 1, instead of: from transformers import Trainer, TrainingArguments


@dataclass
class Arguments:
    """Model and data."""

    model_name_or_path: str
    train_file: str
    validation_file: str
    max_length: int = 384


def exact_match(prediction: EvalPrediction) -> dict[str, float]:
    """Share of rows whose start and end token are both right."""
    is_right = [
        found.argmax(-1) == wanted for found, wanted in zip(prediction.predictions, prediction.label_ids, strict=True)
    ]
    return {"exact_match": float((is_right[0] & is_right[1]).mean())}


def main() -> None:
    settings = (Arguments, AlumConfig)  # 2, instead of: (Arguments, TrainingArguments)
    arguments, training = HfArgumentParser(settings).parse_args_into_dataclasses()
    set_seed(training.seed)
    rows = load_dataset("json", data_files={"train": arguments.train_file, "validation": arguments.validation_file})
    tokenizer = AutoTokenizer.from_pretrained(arguments.model_name_or_path)
    model = AutoModelForQuestionAnswering.from_pretrained(arguments.model_name_or_path)

    def encoded(row: dict[str, Any]) -> dict[str, Any]:
        """Tokens of question and context with those of the first answer; the first token where it is cut off."""
        inputs = tokenizer(
            row["question"],
            row["context"],
            truncation="only_second",
            max_length=arguments.max_length,
            padding="max_length",
        )
        start = row["answers"]["answer_start"][0]
        end = start + len(row["answers"]["text"][0]) - 1
        places = [inputs.char_to_token(character, sequence_index=1) for character in (start, end)]
        inputs["start_positions"], inputs["end_positions"] = (0, 0) if None in places else places
        return dict(inputs)

    features = rows.map(encoded, remove_columns=rows["train"].column_names)
    trainer = AlumTrainer(  # 3, instead of: Trainer(
        model=model,
        args=training,
        train_dataset=features["train"],
        eval_dataset=features["validation"],
        processing_class=tokenizer,
        data_collator=default_data_collator,
        compute_metrics=exact_match,
    )
    trainer.train()
    print(f"exact match {trainer.evaluate()['eval_exact_match']:.3f}")


if __name__ == "__main__":
    main()
