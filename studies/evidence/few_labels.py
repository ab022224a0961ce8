"""MiniLM-L6 fine-tuned on some thousand rows, every arm at its best epoch by the likelihood of held-out rows.

After each epoch, held-out and test rows are scored, clean and under PGD on the embeddings, which raises the log odds
against the right label; the temperature is fitted on the held-out rows.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel

from alum.attacks.embedding_pgd import AttackedBatch, EmbeddingPGD
from alum.core.outputs.log_odds import log_odds_against
from alum.evaluation.scores.calibration import calibration, fitted_temperature
from alum.models.tokenization import Tokenization
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.task_data import load_task_data
from benchmarks.places import minilm
from benchmarks.records import progress
from studies.evidence.arms import TASK_ARMS, Arm
from studies.evidence.training import Course, Training, device, strength

RADII = (0.01, 0.03)


@dataclass(frozen=True)
class FewLabels:
    """A data folder, the task's name for ``alum finetune``, the rows that are reported, and how long is trained."""

    folder: str
    task: str
    num_labels: int = 2
    test: str = "validation"
    num_epochs: int = 3
    batch_size: int = 32
    learning_rate: float = 1e-4
    warmup_share: float = 0.06
    epsilon: float = 0.03
    length_tokens: int = 96
    held_out_share: float = 0.1
    max_rows: int | None = None
    num_attacked_rows: int = 600
    num_attack_steps: int = 10

    arms = TASK_ARMS

    def prepare(self, data: Path, file: Path) -> None:
        """Writes the encoded rows: for training, held out of the training rows to choose by, and for the test."""
        folder = data / self.folder
        arguments = FinetuneArguments(
            model_name_or_path="",
            task=self.task,
            train_file=[str(folder / "train.jsonl")],
            validation_file=str(folder / f"{self.test}.jsonl"),
        )
        loaded = load_task_data(arguments, ("train", "validation"))
        tokenizer = AutoTokenizer.from_pretrained(minilm())
        tensors: dict[str, Tensor] = {}
        for split, rows in loaded.splits.items():
            encoded = loaded.supervision.encode(rows, Tokenization(tokenizer, self.length_tokens))
            order = list(range(len(encoded)))
            random.Random(0).shuffle(order)
            columns = loaded.supervision.collator(tokenizer)(list(encoded.select(order[: self.max_rows])))
            num_held_out = round(self.held_out_share * len(columns["labels"]))
            parts = {"test": slice(None)}
            if split == "train":
                parts = {"training": slice(num_held_out, None), "held_out": slice(0, num_held_out)}
            for name, part in parts.items():
                tensors |= {f"{name}/{column}": values[part].to(torch.int16) for column, values in columns.items()}
        save_file(tensors, file)

    def run(
        self, arm: Arm, seed: int, file: Path, reference: Mapping[str, Any] | None, deadline: float
    ) -> dict[str, Any]:
        """Trains an arm to the end and returns its record."""
        splits: dict[str, dict[str, Tensor]] = {"training": {}, "held_out": {}, "test": {}}
        for name, values in load_file(file).items():
            split, _, column = name.partition("/")
            splits[split][column] = values.long().to(device())
        torch.manual_seed(seed)
        model = AutoModelForSequenceClassification.from_pretrained(
            minilm(), num_labels=self.num_labels, dtype=torch.float32
        ).to(device())
        num_epochs = round(self.num_epochs * arm.epochs)
        num_steps = num_epochs * -(-len(splits["training"]["labels"]) // self.batch_size)
        warmup_steps = max(self.warmup_share * num_steps, 1)

        def learning_rate(step: int) -> float:
            rising, falling = (step + 1) / warmup_steps, (num_steps - step) / (num_steps - warmup_steps)
            return self.learning_rate * min(rising, falling, 1.0)

        training = Training(model, arm, Course(self.epsilon, learning_rate, False, deadline), reference)
        epochs: list[dict[str, Any]] = []
        for epoch in range(num_epochs):
            found = training.epoch(_shuffled(splits["training"], self.batch_size, 1000 * seed + epoch))
            epochs.append({**found, **_scores(model, splits, self)})
            loss = epochs[-1]["held_out"]["negative_log_likelihood"]
            progress(f"  {arm.name}, seed {seed}, epoch {len(epochs)} of {num_epochs}: {loss:.4f} nats")
        best = min(range(num_epochs), key=lambda epoch: epochs[epoch]["held_out"]["negative_log_likelihood"])
        return {
            "best_epoch": best + 1,
            **strength(epochs),
            "training_rows": len(splits["training"]["labels"]),
            "seconds": training.seconds,
            "cost_in_standard_steps": training.cost_in_standard_steps,
            "epochs": epochs,
        }


FULL = {
    "snli": FewLabels("snli_sample", "snli", 3, "test"),
    "qqp": FewLabels("glue_qqp_sample", "qqp"),
    "sick": FewLabels("sick", "sick", 3, "test"),
    "rte": FewLabels("glue_rte", "rte"),
    "mrpc": FewLabels("glue_mrpc", "mrpc"),
    "sst2": FewLabels("glue_sst2", "sst2", test="test"),
}
LITTLE: dict[str, Any] = {
    "num_epochs": 1,
    "batch_size": 4,
    "max_rows": 24,
    "num_attacked_rows": 6,
    "num_attack_steps": 2,
}


def _shuffled(rows: Mapping[str, Tensor], batch_size: int, seed: int) -> Iterator[dict[str, Tensor]]:
    order = torch.randperm(len(rows["labels"]), generator=torch.Generator().manual_seed(seed))
    lengths = rows["attention_mask"].sum(-1).cpu()
    for chosen in order.split(batch_size):
        yield _selected(rows, chosen, int(lengths[chosen].max()))


def _by_length(rows: Mapping[str, Tensor], batch_size: int) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
    lengths = rows["attention_mask"].sum(-1).cpu()
    for chosen in lengths.argsort(stable=True).split(batch_size):
        yield chosen, _selected(rows, chosen, int(lengths[chosen].max()))


def _selected(rows: Mapping[str, Tensor], chosen: Tensor, longest: int) -> dict[str, Tensor]:
    indices = chosen.to(rows["labels"].device)
    return {name: values[indices] if values.ndim == 1 else values[indices, :longest] for name, values in rows.items()}


def _scores(model: PreTrainedModel, splits: Mapping[str, Mapping[str, Tensor]], scale: FewLabels) -> dict[str, Any]:
    model.eval()
    held_out, held_out_labels = _logits(model, splits["held_out"])
    test, labels = _logits(model, splits["test"])
    temperature = fitted_temperature(held_out, held_out_labels)
    return {
        "held_out": asdict(calibration(held_out, held_out_labels)),
        "test": asdict(calibration(test, labels)),
        "temperature": temperature,
        "test_after_temperature": asdict(calibration(test, labels, temperature)),
        "pgd": _attacked(model, splits["test"], scale),
    }


@torch.no_grad()
def _logits(model: PreTrainedModel, rows: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    parts = [(model(**_unlabelled(batch)).logits.float(), batch["labels"]) for _, batch in _by_length(rows, 512)]
    logits, labels = (torch.cat(values).cpu() for values in zip(*parts, strict=True))
    return logits, labels


def _attacked(model: PreTrainedModel, rows: Mapping[str, Tensor], scale: FewLabels) -> list[dict[str, float]]:
    """Accuracy of the first rows at each radius; of the same rows without an attack at radius 0."""
    first = {name: values[: scale.num_attacked_rows] for name, values in rows.items()}
    num_right = [0.0] * (1 + len(RADII))
    attack = EmbeddingPGD(RADII[-1], num_steps=scale.num_attack_steps)
    for _, inputs in _by_length(first, 300):
        batch = AttackedBatch(
            model=model,
            run=lambda inputs: model(**_unlabelled(inputs)),
            inputs=inputs,
            mask=inputs["attention_mask"].bool(),
            losses=lambda outputs, inputs: log_odds_against(outputs.logits, inputs["labels"]),
            fallen=lambda outputs, inputs: outputs.logits.argmax(-1) != inputs["labels"],
        )
        with torch.no_grad():
            num_right[0] += float((model(**_unlabelled(inputs)).logits.argmax(-1) == inputs["labels"]).sum())
        for place, worst in enumerate(attack.curve(batch, RADII), start=1):
            num_right[place] += float((~worst.fallen).sum())
    num_rows = len(first["labels"])
    return [
        {"radius": radius, "accuracy": right / num_rows, "num_rows": num_rows}
        for radius, right in zip((0.0, *RADII), num_right, strict=True)
    ]


def _unlabelled(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: values for name, values in batch.items() if name != "labels"}
