"""A sentence or pair classifier on clean and on attacked embeddings, and the gain of methods on it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from datasets import Dataset
from torch import Tensor
from transformers import DataCollatorWithPadding, PreTrainedModel, PreTrainedTokenizerBase

from alum.attacks.embedding_pgd import EmbeddingPGD
from alum.core.methods import Method
from alum.core.objective import alum_loss
from alum.models.hooked_batch import HookedBatch, padding_mask
from alum.models.injection import Injection
from alum.tasks.kind import TaskKind


@dataclass(frozen=True)
class Classifier:
    """A model with its tokenizer and kind of task, in evaluation mode."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    kind: TaskKind
    batch_size: int = 64

    def batches(self, examples: Dataset) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        """Padded inputs and labels, in order."""
        self.model.eval()
        collate = DataCollatorWithPadding(self.tokenizer)
        for start in range(0, len(examples), self.batch_size):
            rows = [examples[i] for i in range(start, min(start + self.batch_size, len(examples)))]
            batch = {name: values.to(self.model.device) for name, values in collate(rows).items()}
            yield batch, batch.pop("labels")

    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The task loss of each example, ``[batch]``."""
        if self.kind.name == "regression":
            return (logits.float().squeeze(-1) - labels).square()
        return F.cross_entropy(logits.float(), labels, reduction="none")

    def _loss_against(self, labels: Tensor) -> Callable[[Any], Tensor]:
        return lambda outputs: self.losses(outputs.logits, labels)

    def logits(self, examples: Dataset, attack: EmbeddingPGD | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Logits ``[examples, classes]`` and labels ``[examples]``, on clean or attacked embeddings."""
        found, gold = [], []
        for inputs, labels in self.batches(examples):
            if attack is None:
                with torch.inference_mode():
                    outputs = self.model(**inputs)
            else:
                mask = padding_mask(inputs, self.model.config.pad_token_id)
                with _frozen(self.model):
                    outputs = attack(self.model, inputs, mask, self._loss_against(labels))
            found.append(outputs.logits.float().cpu().numpy())
            gold.append(labels.cpu().numpy())
        return np.concatenate(found), np.concatenate(gold)

    def gain(self, examples: Dataset, method: Method, num_draws: int = 4, seed: int = 0) -> float:
        """The adversarial gain of a method on this model: the ratio of the divergence at its δ to that at noise.

        Both divergences are means over ``examples``; dropout is off.
        """
        adversarial, noise = [], []
        for number, (inputs, labels) in enumerate(self.batches(examples)):
            batch = self._as_batch(inputs, labels, method)
            generator = torch.Generator(labels.device).manual_seed(seed + number)
            result = alum_loss(batch, method, generator=generator, num_gain_draws=num_draws)
            self.model.zero_grad(set_to_none=True)
            if result.diagnostics is not None:
                adversarial.append(float(result.diagnostics.divergence) * len(labels))
                noise.append(float(result.diagnostics.noise_divergence) * len(labels))
        return sum(adversarial) / sum(noise) if sum(noise) > 0 else 1.0

    def _as_batch(self, inputs: dict[str, Tensor], labels: Tensor, method: Method) -> HookedBatch:
        def with_loss() -> tuple[Tensor, Tensor]:
            outputs = self.model(**inputs)
            return self.losses(outputs.logits, labels).mean(), outputs

        return HookedBatch(
            model=self.model,
            injection=Injection(self.model, method.layer),
            mask=padding_mask(inputs, self.model.config.pad_token_id),
            run=lambda: self.model(**inputs),
            run_with_loss=with_loss,
            compared=lambda outputs: self.kind.compared(outputs, inputs),
            distance=self.kind.distance,
            dropout=method.dropout,
        )


@contextmanager
def _frozen(model: PreTrainedModel) -> Iterator[None]:
    """Parameters that need no gradients, so that an attack's backward passes go to the embeddings alone."""
    trained = [p for p in model.parameters() if p.requires_grad]
    model.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
