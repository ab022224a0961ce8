"""Search for the adversary's radius and weight by the Trainer's ``hyperparameter_search``: pip install optuna.

Runs offline in seconds, on made-up sentences and a tiny BERT: python examples/search.py
"""

import tempfile
from typing import Any

import torch
from transformers import BertConfig, BertForSequenceClassification, EvalPrediction, PreTrainedModel, set_seed

from alum import AlumConfig, AlumTrainer

VOCAB_SIZE, LENGTH = 64, 12


def sentences(count: int, seed: int) -> list[dict[str, Any]]:
    """Random words; the label says whether most of them are from the upper half of the vocabulary."""
    words = torch.randint(1, VOCAB_SIZE, (count, LENGTH), generator=torch.Generator().manual_seed(seed))
    labels = (words >= VOCAB_SIZE // 2).sum(dim=1) > LENGTH // 2
    return [{"input_ids": ids, "labels": label} for ids, label in zip(words, labels.long(), strict=True)]


def accuracy(prediction: EvalPrediction) -> dict[str, float]:
    return {"accuracy": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


def model() -> PreTrainedModel:
    set_seed(0)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    return BertForSequenceClassification(BertConfig(vocab_size=VOCAB_SIZE, **size))


def space(trial: Any) -> dict[str, Any]:
    """Radii and weights to try."""
    return {
        "adv_epsilon": trial.suggest_float("adv_epsilon", 0.003, 0.3, log=True),
        "adv_alpha": trial.suggest_categorical("adv_alpha", [0.3, 1.0, 3.0]),
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        trainer = AlumTrainer(
            model_init=model,
            args=AlumConfig(
                output_dir=folder,
                adv_method="alum_one_pass",
                num_train_epochs=5,
                learning_rate=3e-3,
                per_device_train_batch_size=32,
                logging_steps=1000,
                save_strategy="no",
                report_to="none",
                use_cpu=True,
                disable_tqdm=True,
            ),
            train_dataset=sentences(1024, seed=0),
            eval_dataset=sentences(128, seed=1),
            compute_metrics=accuracy,
        )
        best = trainer.hyperparameter_search(
            hp_space=space,
            compute_objective=lambda metrics: metrics["eval_accuracy"],
            direction="maximize",
            n_trials=2,
            backend="optuna",
        )
    print(f"best: {best.hyperparameters}")
    print(f"accuracy {best.objective:.2f}")


if __name__ == "__main__":
    main()
