"""A model on the rows of a task: its outputs on clean and on attacked embeddings, and the gain of methods on it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from alum.attacks.embedding_pgd import AttackedBatch, EmbeddingPGD
from alum.core.errors import InputError
from alum.core.methods import Method
from alum.core.objective import alum_loss
from alum.evaluation.label_names import joined_logits
from alum.models.hooks.hooked_batch import HookedBatch, padding_mask
from alum.models.hooks.injection import Injection
from alum.tasks.base import LABEL_INPUTS, Inputs, Outputs, Supervision, TaskKind
from alum.tasks.kinds.multiple_choice import MULTIPLE_CHOICE
from alum.tasks.kinds.regression import REGRESSION
from alum.tasks.kinds.sequence_classification import SEQUENCE_CLASSIFICATION

_BEYOND_THE_END = -100.0  # in outputs of shorter batches, as the Trainer pads them


@dataclass(frozen=True)
class ModelOnTask:
    """A model with its tokenizer and kind of task, in evaluation mode.

    ``answers`` holds for each output of a classifier the task's label, or -1 for none (`joined_logits`); outputs and
    losses are then in the task's labels. With a ``tolerance``, a regressor's answers are wrong where they err by more.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    kind: TaskKind
    batch_size: int = 64
    answers: tuple[int, ...] | None = None
    tolerance: float | None = None

    @property
    def has_wrong_answers(self) -> bool:
        """Whether a single feature's answer is right or wrong; spans of several windows and mere numbers are not."""
        return self.kind in (SEQUENCE_CLASSIFICATION, MULTIPLE_CHOICE) or (
            self.kind is REGRESSION and self.tolerance is not None
        )

    def outputs(self, features: Dataset, attack: EmbeddingPGD | None = None) -> Outputs:
        """What ``Supervision.predict`` takes, in the order of ``features``: on clean or on attacked embeddings.

        Raises `InputError` for an attack on a kind of task that has no losses to raise.
        """
        if attack is not None:
            return self.outputs_by_radius(features, attack, [attack.epsilon])[0]
        found = []
        for rows, inputs in self.batches(features):
            with torch.inference_mode():
                found.append((rows, self._gathered(self.run(inputs), inputs)))
        return _in_order(found)

    def outputs_by_radius(self, features: Dataset, attack: EmbeddingPGD, epsilons: Sequence[float]) -> list[Outputs]:
        """The outputs under attack at each of the rising radii ``epsilons``, which stand for the attack's own."""
        found: list[list[tuple[list[int], tuple[np.ndarray, ...]]]] = [[] for _ in epsilons]
        with frozen(self.model):
            for rows, batch in self.attacked_batches(features):
                for at_radius, worst in zip(found, attack.curve(batch, epsilons), strict=True):
                    at_radius.append((rows, self._gathered(worst.outputs, batch.inputs)))
        return [_in_order(at_radius) for at_radius in found]

    def attacked_batches(self, features: Dataset) -> Iterator[tuple[list[int], AttackedBatch]]:
        """The batches with their rows, as attacks take them: wrong answers count as fallen, where there are any."""
        losses = self.kind.example_losses
        if losses is None or not LABEL_INPUTS.intersection(features.column_names):
            raise InputError(
                f"attacks on embeddings raise the task loss of labelled rows, but these rows of {self.kind.name} have "
                "no labels, or no loss of their own each."
            )
        for rows, inputs in self.batches(features):
            batch = AttackedBatch(
                model=self.model,
                run=self.run,
                inputs=inputs,
                mask=self._mask(inputs),
                losses=losses,
                fallen=self.is_wrong if self.has_wrong_answers else None,
            )
            yield rows, batch

    def batches(self, features: Dataset) -> Iterator[tuple[list[int], dict[str, Tensor]]]:
        """Padded inputs with their labels and the rows they are of, the longest first."""
        self.model.eval()
        collate = self._supervision.collator(self.tokenizer)
        lengths = [_num_tokens(ids) for ids in features["input_ids"]]
        longest_first = sorted(range(len(features)), key=lambda row: -lengths[row])
        for start in range(0, len(features), self.batch_size):
            rows = longest_first[start : start + self.batch_size]
            batch = collate(list(features.select(rows)))
            yield rows, {name: values.to(self.model.device) for name, values in batch.items()}

    def run(self, inputs: Inputs) -> Any:
        """A forward pass, without the model's own loss."""
        outputs = self.model(**{name: values for name, values in inputs.items() if name not in LABEL_INPUTS})
        if self.answers is not None:
            outputs["logits"] = joined_logits(outputs["logits"], self.answers, max(self.answers) + 1)
        return outputs

    def is_wrong(self, outputs: Any, inputs: Inputs) -> Tensor:
        """``[features]``, where `has_wrong_answers`."""
        logits, labels = outputs["logits"], inputs["labels"]
        if self.kind is REGRESSION:
            wrong: Tensor = (logits.float().squeeze(-1) - labels).abs() > self.tolerance
        else:
            wrong = logits.argmax(-1) != labels
        return wrong

    def gain(self, features: Dataset, method: Method, num_draws: int = 4, seed: int = 0) -> float:
        """The adversarial gain of a method on this model: the ratio of the divergence at its δ to that at noise.

        Both divergences are means over ``features``; dropout is off.
        """
        adversarial, noise = [], []
        for number, (rows, inputs) in enumerate(self.batches(features)):
            generator = torch.Generator(self.model.device).manual_seed(seed + number)
            result = alum_loss(self._as_batch(inputs, method), method, generator=generator, num_gain_draws=num_draws)
            self.model.zero_grad(set_to_none=True)
            if result.diagnostics is not None:
                adversarial.append(float(result.diagnostics.divergence) * len(rows))
                noise.append(float(result.diagnostics.noise_divergence) * len(rows))
        return sum(adversarial) / sum(noise) if sum(noise) > 0 else 1.0

    @property
    def _supervision(self) -> Supervision:
        assert self.kind.supervision is not None, "a kind that makes its own labels"
        return self.kind.supervision

    def _mask(self, inputs: Inputs) -> Tensor:
        return padding_mask(inputs, getattr(self.model.config, "pad_token_id", None))

    def _gathered(self, outputs: Any, inputs: Inputs) -> tuple[np.ndarray, ...]:
        logits = outputs["logits"] if "logits" in outputs else (outputs["start_logits"], outputs["end_logits"])
        kept = self._supervision.gathered(logits, inputs.get("labels"))
        return tuple(_as_numpy(values) for values in (kept if isinstance(kept, tuple) else (kept,)))

    def _as_batch(self, inputs: dict[str, Tensor], method: Method) -> HookedBatch:
        losses = self.kind.example_losses
        assert losses is not None, "a kind without losses has no gain"

        def with_loss() -> tuple[Tensor, Any]:
            outputs = self.run(inputs)
            return losses(outputs, inputs).mean(), outputs

        return HookedBatch(
            model=self.model,
            injection=Injection(self.model, method.layer),
            mask=self._mask(inputs),
            run=lambda: self.run(inputs),
            run_with_loss=with_loss,
            compared=lambda outputs: self.kind.compared(outputs, inputs),
            distance=self.kind.distance,
            dropout=method.dropout,
        )


def _num_tokens(ids: list[Any]) -> int:
    """The length of a feature, or of its longest choice."""
    return max(map(len, ids)) if ids and isinstance(ids[0], list) else len(ids)


def _as_numpy(values: Tensor) -> np.ndarray:
    return values.detach().cpu().float().numpy() if values.is_floating_point() else values.cpu().numpy()


def _in_order(found: Sequence[tuple[list[int], tuple[np.ndarray, ...]]]) -> Outputs:
    """Batches put together, padded to the widest, with their rows in the features' order."""
    order = np.argsort([row for rows, _ in found for row in rows])
    columns = [_stacked([outputs[index] for _, outputs in found])[order] for index in range(len(found[0][1]))]
    return columns[0] if len(columns) == 1 else tuple(columns)


def _stacked(parts: Sequence[np.ndarray]) -> np.ndarray:
    shape = np.max([part.shape[1:] for part in parts], axis=0).astype(int)
    padded = [
        np.pad(
            part,
            [(0, 0), *((0, most - own) for most, own in zip(shape, part.shape[1:], strict=True))],
            constant_values=_BEYOND_THE_END,
        )
        for part in parts
    ]
    return np.concatenate(padded)


@contextmanager
def frozen(model: PreTrainedModel) -> Iterator[None]:
    """Parameters that need no gradients, so that an attack's backward passes go to the embeddings alone."""
    trained = [p for p in model.parameters() if p.requires_grad]
    model.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
