"""A script that used the Trainer, turned into ALUM by the three lines with a number.

Runs offline in seconds, on made-up sentences and a tiny BERT: python examples/trainer.py
"""

import tempfile
from typing import Any

import torch
from transformers import BertConfig, BertForSequenceClassification, EvalPrediction, set_seed

from alum import AlumConfig, AlumTrainer  # 1, instead of: from transformers import Trainer, TrainingArguments

VOCAB_SIZE, LENGTH = 64, 12


def sentences(count: int, seed: int) -> list[dict[str, Any]]:
    """Random words; the label says whether most of them are from the upper half of the vocabulary."""
    words = torch.randint(1, VOCAB_SIZE, (count, LENGTH), generator=torch.Generator().manual_seed(seed))
    labels = (words >= VOCAB_SIZE // 2).sum(dim=1) > LENGTH // 2
    return [{"input_ids": ids, "labels": label} for ids, label in zip(words, labels.long(), strict=True)]


def accuracy(prediction: EvalPrediction) -> dict[str, float]:
    return {"accuracy": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


def main() -> None:
    set_seed(0)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    model = BertForSequenceClassification(BertConfig(vocab_size=VOCAB_SIZE, **size))
    with tempfile.TemporaryDirectory() as folder:
        args = AlumConfig(  # 2, instead of: TrainingArguments(
            output_dir=folder,
            adv_method="alum_one_pass",
            num_train_epochs=5,
            learning_rate=3e-3,
            per_device_train_batch_size=32,
            logging_steps=40,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
        )
        trainer = AlumTrainer(  # 3, instead of: Trainer(
            model=model,
            args=args,
            train_dataset=sentences(1024, seed=0),
            eval_dataset=sentences(128, seed=1),
            compute_metrics=accuracy,
        )
        trainer.train()
        print(f"accuracy {trainer.evaluate()['eval_accuracy']:.2f}")


if __name__ == "__main__":
    main()
