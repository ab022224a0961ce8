"""Tagging of words by the Trainer, of the shape of transformers' run_ner; three lines make it ALUM.

    python tagging.py --model_name_or_path bert-base-uncased --train_file train.jsonl --validation_file dev.jsonl \
        --output_dir out --adv_method alum_one_pass

Rows are JSON lines with lists of ``words`` and of their ``tags``, which are names.
"""

from dataclasses import dataclass
from typing import Any

from datasets import load_dataset
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    EvalPrediction,
    HfArgumentParser,
    set_seed,
)

from alum import AlumConfig, AlumTrainer  # 1, instead of: from transformers import Trainer, TrainingArguments

IGNORED = -100


@dataclass
class Arguments:
    """Model and data."""

    model_name_or_path: str
    train_file: str
    validation_file: str
    max_length: int = 128


def accuracy(prediction: EvalPrediction) -> dict[str, float]:
    """Share of words with the right tag."""
    is_word = prediction.label_ids != IGNORED
    found = prediction.predictions.argmax(-1)[is_word]
    return {"accuracy": float((found == prediction.label_ids[is_word]).mean())}


def main() -> None:
    settings = (Arguments, AlumConfig)  # 2, instead of: (Arguments, TrainingArguments)
    arguments, training = HfArgumentParser(settings).parse_args_into_dataclasses()
    set_seed(training.seed)
    rows = load_dataset("json", data_files={"train": arguments.train_file, "validation": arguments.validation_file})
    names = sorted({tag for tags in rows["train"]["tags"] for tag in tags})
    tokenizer = AutoTokenizer.from_pretrained(arguments.model_name_or_path)
    model = AutoModelForTokenClassification.from_pretrained(
        arguments.model_name_or_path,
        id2label=dict(enumerate(names)),
        label2id={name: i for i, name in enumerate(names)},
    )

    def encoded(row: dict[str, Any]) -> dict[str, Any]:
        """The first token of a word has its tag, the others none."""
        inputs = tokenizer(row["words"], is_split_into_words=True, truncation=True, max_length=arguments.max_length)
        words = inputs.word_ids()
        starts = [word is not None and word != former for word, former in zip(words, [None, *words], strict=False)]
        inputs["labels"] = [
            names.index(row["tags"][word]) if is_start else IGNORED
            for word, is_start in zip(words, starts, strict=True)
        ]
        return dict(inputs)

    features = rows.map(encoded, remove_columns=rows["train"].column_names)
    trainer = AlumTrainer(  # 3, instead of: Trainer(
        model=model,
        args=training,
        train_dataset=features["train"],
        eval_dataset=features["validation"],
        processing_class=tokenizer,
        data_collator=DataCollatorForTokenClassification(tokenizer),
        compute_metrics=accuracy,
    )
    trainer.train()
    print(f"accuracy {trainer.evaluate()['eval_accuracy']:.3f}")


if __name__ == "__main__":
    main()
