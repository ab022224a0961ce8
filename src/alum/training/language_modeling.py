"""Pre-training in the Hugging Face Trainer: masks drawn at each step, exact validation scores, tokens per second."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import EvalPrediction

from alum.core.errors import InputError
from alum.data.pretraining.masking import MaskRate, TokenMasks
from alum.models.hooks.predicted_positions import head_sees_only
from alum.models.inputs import LABEL_INPUTS, Inputs
from alum.tasks.base import logits_of
from alum.training.records.clock import StepTimes
from alum.training.trainer import AlumTrainer


@dataclass(frozen=True)
class Supervise:
    """Tokens of packed sequences that a model learns to predict: masked ones, or without ``masks`` every next one."""

    masks: TokenMasks | None = None
    mask_rate: MaskRate | None = None


class LanguageModelTrainer(AlumTrainer):
    """`AlumTrainer` for language models, on packed sequences: rows of ``input_ids`` alone.

    Validation rows may carry ``labels``. Masks are drawn when a step begins, from the seed and the number of the step:
    a resumed run draws those of an undisturbed one, and the mask rate follows the progress of training.
    """

    def __init__(self, *args: Any, supervise: Supervise, **kwargs: Any) -> None:
        super().__init__(*args, compute_metrics=language_model_metrics, **kwargs)
        self._supervise = supervise
        self._num_tokens = 0  # since the last log
        self._num_timed_tokens, self._timed_seconds = 0, 0.0

    def get_batch_samples(self, epoch_iterator: Iterator[Inputs], *args: Any, **kwargs: Any) -> Any:
        return super().get_batch_samples(self._supervised(epoch_iterator), *args, **kwargs)

    def prediction_step(
        self, model: nn.Module, inputs: Inputs, prediction_loss_only: bool, *args: Any, **kwargs: Any
    ) -> tuple[None, Tensor, Tensor]:
        """Sums over the predicted tokens of each sequence, ``[batch, 3]``: loss, right predictions, number of tokens.

        Means over these are exact, whatever the batch size; the mean over the batches' means is not.
        """
        inputs = self._prepare_inputs({"labels": inputs["input_ids"], **inputs})
        with torch.no_grad(), self.compute_loss_context_manager():
            sums = self._sums(model, inputs)
        return None, sums, sums

    def _supervised(self, batches: Iterator[Inputs]) -> Iterator[Inputs]:
        progress = self.state.global_step / max(self.state.max_steps, 1)
        masks, rate = self._supervise.masks, self._supervise.mask_rate
        for index, batch in enumerate(batches):
            ids = batch["input_ids"]
            num_tokens = ids.numel() * self.args.world_size
            self._num_tokens += num_tokens
            self.state.num_input_tokens_seen += num_tokens  # which checkpoints keep
            if masks is None or rate is None:
                yield {**batch, "labels": ids}
            else:
                masked, labels = masks(ids, rate.at(progress), self._generator(ids.device, index))
                yield {**batch, "input_ids": masked, "labels": labels}

    def _generator(self, device: torch.device, micro_batch: int) -> torch.Generator:
        return torch.Generator(device).manual_seed(
            (self._noise.seed_at(self.state.global_step) * 1009 + micro_batch) % 2**63
        )

    def _not_padding(self, inputs: Inputs) -> Tensor:
        """All: where padding and the separator are one token, those between documents would be taken for it."""
        return torch.ones_like(inputs["input_ids"], dtype=torch.bool)

    def _sums(self, model: nn.Module, inputs: Inputs) -> Tensor:
        assert self.kind is not None
        assert self.kind.predicted_rows is not None
        rows, labels = self.kind.predicted_rows(inputs["labels"])
        with head_sees_only(model, rows):
            outputs = model(**{name: value for name, value in inputs.items() if name not in LABEL_INPUTS})
        logits = logits_of(outputs).float().flatten(0, -2)
        losses = F.cross_entropy(logits, labels, reduction="none")
        right = (logits.argmax(-1) == labels).float()
        of_token = torch.stack((losses, right, torch.ones_like(losses)), dim=-1)
        num_sequences, length = inputs["labels"].shape
        return of_token.new_zeros(num_sequences, 3).index_add_(0, rows // length, of_token)

    def tokens_per_second(self) -> float | None:
        """Tokens per second of training in this process, without evaluation and checkpoints; None without training."""
        self._time_logs(self._clock.take())  # since the last log
        return self._num_timed_tokens / self._timed_seconds if self._num_timed_tokens else None

    def _logs_time(self) -> bool:
        return True

    def _time_logs(self, times: StepTimes) -> dict[str, float]:
        num_tokens, self._num_tokens = self._num_tokens, 0
        self._num_timed_tokens += num_tokens
        self._timed_seconds += times.training_seconds
        return {"tokens_per_second": num_tokens / times.training_seconds, **super()._time_logs(times)}


def stacked(rows: list[dict[str, Any]]) -> dict[str, Tensor]:
    """Collates rows of one length to a batch of integers, ``[batch, length]``."""
    return {name: torch.from_numpy(np.stack([row[name] for row in rows]).astype(np.int64)) for name in rows[0]}


def language_model_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """Loss (nats per predicted token), perplexity and accuracy from what `LanguageModelTrainer` gathers, [rows, 3].

    Raises `InputError` where nothing is predicted.
    """
    sums = prediction.predictions
    sums = sums[0] if isinstance(sums, tuple) else sums
    loss, right, count = (float(column.sum(dtype="float64")) for column in sums.T)
    if not count:
        raise InputError(
            "no token of the validation text can be predicted, all are special or unknown ones: expected text that the "
            "tokenizer knows. Give another text or tokenizer, or a larger vocab_size."
        )
    return {
        "loss": loss / count,
        "perplexity": math.exp(min(loss / count, 700.0)),
        "accuracy": right / count,
        "num_tokens": count,
    }
