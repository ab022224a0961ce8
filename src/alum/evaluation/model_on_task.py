"""Outputs of a model on a task's rows, from clean or attacked embeddings, and the adversarial gain of methods on it."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor
from transformers import PreTrainedModel

from alum.attacks.embedding_pgd import AttackedBatch, EmbeddingPGD
from alum.core.errors import InputError
from alum.core.method_settings import Method
from alum.core.objective import alum_loss
from alum.evaluation.kinds.base import EvaluatedKind, TextVictim, WrongAnswers
from alum.evaluation.kinds.lookup import attacked_kind
from alum.evaluation.label_names import LabelMapping
from alum.models.hooks.hooked_batch import HookedBatch
from alum.models.hooks.injection import Injection
from alum.models.inputs import LABEL_INPUTS, Inputs
from alum.models.text_model import ROWS_ENOUGH, TextModel, batches_by_length, on_device
from alum.models.trial import check_first_pass
from alum.tasks.base import GatheredOutputs, TaskKind
from alum.tasks.rows import TaskRows

_BEYOND_THE_END = -100.0  # in outputs of shorter batches, as the Trainer pads them


@dataclass(frozen=True)
class ModelOnTask:
    """Model, in evaluation mode, with the kind of task that it is measured on.

    ``mapping`` has the task's label for each output of a classifier; outputs and losses are then in the task's labels.
    With a ``tolerance``, a regressor's answers are wrong where they err by more.
    """

    text_model: TextModel
    evaluated: EvaluatedKind
    mapping: LabelMapping | None = None
    tolerance: float | None = None

    @property
    def model(self) -> PreTrainedModel:
        return self.text_model.model

    @property
    def kind(self) -> TaskKind:
        return self.evaluated.supervision.kind

    @property
    def unknown_word(self) -> str | None:
        """Word that the tokenizer does not know, None where it has none."""
        unknown: str | None = self.text_model.tokenizer.unk_token
        return unknown

    def victim(self, rows: TaskRows) -> TextVictim:
        """Makes the model the victim of attacks on the texts of ``rows``; raises `InputError` for kinds without."""
        return attacked_kind(self.evaluated.supervision).victim(self.text_model, rows, self.mapping)

    def logits_victim(self) -> TextVictim:
        """Makes it a victim with logits as its outputs, for kinds that choose one label."""
        return attacked_kind(self.evaluated.supervision).logits_victim(self.text_model, self.mapping)

    def features(self, rows: TaskRows) -> Dataset:
        """Encodes rows as model inputs and labels."""
        return self.evaluated.supervision.encode(rows, self.text_model.tokenization)

    def check_first_pass(self, rows: TaskRows, name: str) -> None:
        """Runs the model, which is called ``name``, on the first of some rows; raises `InputError` where it fails."""
        _, inputs = next(self.batches(self.features(rows.first(1))))
        check_first_pass(self.model, inputs, name, self.run)

    @property
    def is_wrong(self) -> WrongAnswers | None:
        """Test for wrong answers, by feature; None for spans of several windows, and for numbers without tolerance."""
        return self.evaluated.wrong_answers(self.tolerance)

    def outputs(self, features: Dataset, attack: EmbeddingPGD | None = None) -> GatheredOutputs:
        """Outputs on clean or attacked embeddings, in the order of ``features``, as ``Supervision.predict`` takes them.

        Raises `InputError` for an attack on a kind of task that has no losses to raise.
        """
        if attack is not None:
            return self.outputs_by_radius(features, attack, [attack.epsilon])[0]
        found = []
        for rows, inputs in self.batches(features):
            with torch.inference_mode():
                found.append((rows, self._gathered(self.run(inputs), inputs)))
        return _in_order(found)

    def outputs_by_radius(
        self, features: Dataset, attack: EmbeddingPGD, epsilons: Sequence[float]
    ) -> list[GatheredOutputs]:
        """Outputs under an attack at each of the rising radii ``epsilons``, which take the place of its own radius."""
        found: list[list[tuple[list[int], tuple[np.ndarray, ...]]]] = [[] for _ in epsilons]
        for rows, batch in self.attacked_batches(features):
            for at_radius, worst in zip(found, attack.curve(batch, epsilons), strict=True):
                at_radius.append((rows, self._gathered(worst.outputs, batch.inputs)))
        return [_in_order(at_radius) for at_radius in found]

    def attacked_batches(self, features: Dataset) -> Iterator[tuple[list[int], AttackedBatch]]:
        """Batches for attacks on embeddings, with their rows; wrong answers, where there are any, count as fallen."""
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
                mask=self.evaluated.perturbed(self.model, inputs),
                losses=losses,
                packed=self.evaluated.packed,
                further_losses=self.evaluated.further_losses,
                fallen=self.is_wrong,
            )
            yield rows, batch

    def batches(self, features: Dataset) -> Iterator[tuple[list[int], dict[str, Tensor]]]:
        """Padded batches of inputs and labels, with the rows they are of, the longest first."""
        self.model.eval()
        collate = self.evaluated.supervision.collator(self.text_model.tokenizer)
        lengths = [_num_tokens(ids) for ids in features["input_ids"]]
        needs_padding = self.evaluated.supervision.needs_padding_token
        batch_size = self.text_model.largest_batch if needs_padding else self.text_model.batch_size
        for rows in batches_by_length(lengths, batch_size, ROWS_ENOUGH):
            yield rows, on_device(collate(list(features.select(rows))), self.model.device)

    def run(self, inputs: Inputs) -> Any:
        """Runs a forward pass, without the model's own loss; logits are those of the task's labels."""
        outputs = self.evaluated.outputs(self.model, inputs)
        if self.mapping is not None:
            outputs["logits"] = self.mapping.joined(outputs["logits"])
        return outputs

    def gain_and_divergence(
        self, features: Dataset, method: Method, num_draws: int = 4, seed: int = 0
    ) -> tuple[float, float]:
        """Adversarial gain of a method on this model, and the divergence at its δ, whose ratio to that at noise it is.

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
        return sum(adversarial) / sum(noise) if sum(noise) > 0 else 1.0, sum(adversarial) / max(len(features), 1)

    def effects_of(
        self, features: Dataset, method: Method, epsilons: Sequence[float], seed: int = 0
    ) -> list[tuple[float, float | None]]:
        """Mean divergence at a method's δ of each radius, and the share of answers that are right there; no dropout.

        The share is None for kinds of task where a single answer is not right or wrong.
        """
        found = np.zeros((len(epsilons), 2))
        for number, (rows, inputs) in enumerate(self.batches(features)):
            with torch.no_grad():
                clean = self.kind.compared(self.run(inputs), inputs)
            for index, delta in enumerate(self._deltas(inputs, method, epsilons, seed + number)):
                with torch.no_grad(), self._injection(inputs, method).adding(delta):
                    outputs = self.run(inputs)
                    divergence = self.kind.distance(self.kind.compared(outputs, inputs), clean).mean()
                right = len(rows) if self.is_wrong is None else int((~self.is_wrong(outputs, inputs)).sum())
                found[index] += float(divergence) * len(rows), right
        divergences, shares = (found / max(len(features), 1)).T.tolist()
        return [
            (divergence, None if self.is_wrong is None else share)
            for divergence, share in zip(divergences, shares, strict=True)
        ]

    def _deltas(
        self, inputs: dict[str, Tensor], method: Method, epsilons: Sequence[float], seed: int
    ) -> Iterator[Tensor]:
        """Perturbations of a method at each radius; without passes of its own its direction is the same at all."""
        delta: Tensor | None = None
        for epsilon in epsilons:
            if delta is None or method.num_own_passes:
                at_radius = dataclasses.replace(method, epsilon=epsilon)
                generator = torch.Generator(self.model.device).manual_seed(seed)
                delta = alum_loss(self._as_batch(inputs, at_radius), at_radius, generator=generator).delta
                self.model.zero_grad(set_to_none=True)
                assert delta is not None, f"method {method.name!r} perturbs nothing"
                of_delta = epsilon
            yield delta * (epsilon / of_delta)

    def _injection(self, inputs: Inputs, method: Method) -> Injection:
        return Injection(self.model, method.layer, self.evaluated.packed(inputs))

    def _gathered(self, outputs: Any, inputs: Inputs) -> tuple[np.ndarray, ...]:
        logits = outputs["logits"] if "logits" in outputs else (outputs["start_logits"], outputs["end_logits"])
        for values in logits if isinstance(logits, tuple) else (logits,):
            if values.isnan().any():
                raise InputError(
                    f"the outputs of {self.model.config.name_or_path or 'the model'} are not numbers (NaN), so that "
                    "they answer nothing: its training diverged, or its precision is too low. Give another checkpoint."
                )
        kept = self.evaluated.supervision.gathered(logits, inputs.get("labels"))
        return tuple(_as_numpy(values) for values in (kept if isinstance(kept, tuple) else (kept,)))

    def _as_batch(self, inputs: dict[str, Tensor], method: Method) -> HookedBatch:
        losses = self.kind.example_losses
        assert losses is not None, "a kind without losses has no gain"

        def with_loss() -> tuple[Tensor, Any]:
            outputs = self.run(inputs)
            return losses(outputs, inputs).mean(), outputs

        return HookedBatch(
            model=self.model,
            injection=self._injection(inputs, method),
            mask=self.evaluated.perturbed(self.model, inputs),
            run=lambda: self.run(inputs),
            run_with_loss=with_loss,
            compared=lambda outputs: self.kind.compared(outputs, inputs),
            distance=self.kind.distance,
            likelihood=self.kind.likelihood,
            dropout=method.dropout,
        )


def _num_tokens(ids: list[Any]) -> int:
    """The length of a feature, or of its longest choice."""
    return max(map(len, ids)) if ids and isinstance(ids[0], list) else len(ids)


def _as_numpy(values: Tensor) -> np.ndarray:
    return values.detach().cpu().float().numpy() if values.is_floating_point() else values.cpu().numpy()


def _in_order(found: Sequence[tuple[list[int], tuple[np.ndarray, ...]]]) -> GatheredOutputs:
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
