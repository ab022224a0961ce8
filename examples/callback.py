"""A callback that sets the adversary's radius while training goes on: settings are read anew at each step.

Runs offline in seconds, on made-up sentences and a tiny BERT: python examples/callback.py
"""

import tempfile
from typing import Any

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    EvalPrediction,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from alum import AlumConfig, AlumTrainer

VOCAB_SIZE, LENGTH = 64, 12


class RadiusByEpoch(TrainerCallback):
    """Trains the first epoch with a tenth of the radius, and the others with all of it."""

    def __init__(self, epsilon: float) -> None:
        self.epsilon = epsilon

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        assert isinstance(args, AlumConfig)
        args.adv_epsilon = self.epsilon if state.epoch else self.epsilon / 10


def sentences(count: int, seed: int) -> list[dict[str, Any]]:
    """Random words; the label says whether most of them are from the upper half of the vocabulary."""
    words = torch.randint(1, VOCAB_SIZE, (count, LENGTH), generator=torch.Generator().manual_seed(seed))
    labels = (words >= VOCAB_SIZE // 2).sum(dim=1) > LENGTH // 2
    return [{"input_ids": ids, "labels": label} for ids, label in zip(words, labels.long(), strict=True)]


def accuracy(prediction: EvalPrediction) -> dict[str, float]:
    return {"accuracy": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


def main() -> None:
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    with tempfile.TemporaryDirectory() as folder:
        set_seed(0)
        trainer = AlumTrainer(
            model=BertForSequenceClassification(BertConfig(vocab_size=VOCAB_SIZE, **size)),
            args=AlumConfig(
                output_dir=folder,
                adv_method="alum_one_pass",
                num_train_epochs=5,
                learning_rate=3e-3,
                per_device_train_batch_size=32,
                logging_strategy="epoch",
                save_strategy="no",
                report_to="none",
                use_cpu=True,
                disable_tqdm=True,
            ),
            train_dataset=sentences(1024, seed=0),
            eval_dataset=sentences(128, seed=1),
            compute_metrics=accuracy,
            callbacks=[RadiusByEpoch(0.03)],
        )
        trainer.train()
        print(f"accuracy {trainer.evaluate()['eval_accuracy']:.2f}")


if __name__ == "__main__":
    main()
