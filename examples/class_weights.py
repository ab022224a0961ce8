"""Class weights beside the adversary: a loss of one's own is the Trainer's ``compute_loss_func``.

Runs offline in seconds, on made-up sentences and a tiny BERT: python examples/class_weights.py
"""

import tempfile
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification, EvalPrediction, set_seed

from alum import AlumConfig, AlumTrainer

VOCAB_SIZE, LENGTH = 64, 12
RARE = 1


def sentences(count: int, seed: int) -> list[dict[str, Any]]:
    """Random words; the label is rare: most of the words are from the upper third of the vocabulary."""
    words = torch.randint(1, VOCAB_SIZE, (count, LENGTH), generator=torch.Generator().manual_seed(seed))
    labels = (words >= 2 * VOCAB_SIZE // 3).sum(dim=1) > LENGTH // 2
    return [{"input_ids": ids, "labels": label} for ids, label in zip(words, labels.long(), strict=True)]


def weighted_loss(outputs: Any, labels: Tensor, num_items_in_batch: Tensor | None = None) -> Tensor:
    """Cross-entropy of which the rare label's rows are ten times as much, a mean over the step's items."""
    weight = torch.tensor([1.0, 10.0], device=labels.device)
    total = F.cross_entropy(outputs["logits"], labels, weight=weight, reduction="sum")
    return total / (len(labels) if num_items_in_batch is None else num_items_in_batch)


def recall(prediction: EvalPrediction) -> dict[str, float]:
    """Share of the rare label's rows that are found, and accuracy."""
    found = prediction.predictions.argmax(-1)
    is_rare = prediction.label_ids == RARE
    return {"recall": float((found[is_rare] == RARE).mean()), "accuracy": float((found == prediction.label_ids).mean())}


def main() -> None:
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    with tempfile.TemporaryDirectory() as folder:
        set_seed(0)
        trainer = AlumTrainer(
            model=BertForSequenceClassification(BertConfig(vocab_size=VOCAB_SIZE, **size)),
            args=AlumConfig(
                output_dir=folder,
                adv_method="alum_virtual",
                num_train_epochs=9,
                learning_rate=3e-3,
                per_device_train_batch_size=32,
                logging_steps=72,
                save_strategy="no",
                report_to="none",
                use_cpu=True,
                disable_tqdm=True,
            ),
            train_dataset=sentences(1024, seed=0),
            eval_dataset=sentences(256, seed=1),
            compute_metrics=recall,
            compute_loss_func=weighted_loss,
        )
        trainer.train()
        metrics = trainer.evaluate()
        print(f"recall {metrics['eval_recall']:.2f}")
        print(f"accuracy {metrics['eval_accuracy']:.2f}")


if __name__ == "__main__":
    main()
