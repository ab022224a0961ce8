"""A cross-encoder of sentence-transformers that ranks passages for a question, trained with the adversary.

Runs offline in seconds, on made-up questions and a tiny BERT: python examples/cross_encoder.py
Needs sentence-transformers: pip install 'alum[sentence-transformers]'.
"""

import random
import tempfile
from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset
from sentence_transformers.cross_encoder import CrossEncoder, CrossEncoderTrainer, CrossEncoderTrainingArguments
from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast, set_seed

from alum import AlumConfig, AlumMixin

THINGS = ["key", "book", "lamp", "letter", "cup", "coat"]
PLACES = ["kitchen", "garden", "hall", "car"]
PEOPLE = ["anna", "ben", "clara", "david"]


@dataclass
class AlumArguments(CrossEncoderTrainingArguments, AlumConfig):
    """Settings of both: sentence-transformers' and, with the prefix adv_, the adversary's."""


class AlumCrossEncoderTrainer(AlumMixin, CrossEncoderTrainer):
    """Trainer of sentence-transformers, made adversarial: the mix-in comes first."""


def pairs(count: int, seed: int) -> dict[str, list[str | float]]:
    """Questions where a thing is, with a passage that answers (label 1) or tells whose it is (label 0)."""
    rng = random.Random(seed)
    rows: dict[str, list[str | float]] = {"question": [], "passage": [], "label": []}
    for number in range(count):
        thing, place, person = rng.choice(THINGS), rng.choice(PLACES), rng.choice(PEOPLE)
        rows["question"].append(f"where is the {thing} ?")
        rows["passage"].append(f"the {thing} is in the {place} ." if number % 2 else f"{person} has the {thing} .")
        rows["label"].append(float(number % 2))
    return rows


def save_untrained(folder: Path) -> None:
    """Writes a tiny BERT with random weights, and its tokenizer, where a model of the hub would be named."""
    rows = pairs(200, seed=0)
    words = BertWordPieceTokenizer()
    words.train_from_iterator([*rows["question"], *rows["passage"]], vocab_size=150, show_progress=False)
    tokenizer = BertTokenizerFast(tokenizer_object=words._tokenizer, model_max_length=32)
    tokenizer.save_pretrained(folder)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = BertConfig(vocab_size=len(tokenizer), num_labels=1, max_position_embeddings=32, **size)
    BertForSequenceClassification(config).save_pretrained(folder)


def main() -> None:
    set_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        save_untrained(Path(folder) / "base")
        model = CrossEncoder(str(Path(folder) / "base"), num_labels=1, device="cpu")
        args = AlumArguments(
            output_dir=str(Path(folder) / "reranker"),
            adv_method="alum_virtual",
            num_train_epochs=8,
            learning_rate=5e-3,
            per_device_train_batch_size=16,
            logging_steps=80,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
        )
        trainer = AlumCrossEncoderTrainer(
            model=model,
            args=args,
            train_dataset=Dataset.from_dict(pairs(320, seed=0)),
            loss=BinaryCrossEntropyLoss(model),
        )
        trainer.train()
        held_out = pairs(200, seed=1)
        found = model.predict(list(zip(held_out["question"], held_out["passage"], strict=True))) > 0.5
    print(f"accuracy {(found == [label == 1 for label in held_out['label']]).mean():.2f}")


if __name__ == "__main__":
    main()
