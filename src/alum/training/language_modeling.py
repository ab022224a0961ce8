"""Pre-training in the Hugging Face Trainer: masks drawn at each step, exact validation scores, tokens per second."""

import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from accelerate.utils import broadcast_object_list
from datasets import IterableDataset
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import EvalPrediction
from transformers.trainer_utils import has_length

from alum.core.errors import InputError
from alum.core.randomness.row_noise import RowNoise
from alum.data.pretraining.masking import MaskRate, TokenMasks
from alum.data.pretraining.streams import StreamPosition, position_at, read_position, write_position
from alum.models.hooks.predicted_positions import head_sees_only
from alum.models.inputs import LABEL_INPUTS, Inputs
from alum.tasks.base import logits_of
from alum.training.parts.sampling import ShuffledRows
from alum.training.records.clock import StepTimes
from alum.training.trainer import AlumTrainer

STREAM = "stream.json"
"""File of a checkpoint that says where in a stream it was."""


@dataclass(frozen=True)
class Supervise:
    """Tokens of packed sequences that a model learns to predict: masked ones, or without ``masks`` every next one."""

    masks: TokenMasks | None = None
    mask_rate: MaskRate | None = None


class RowStream(Protocol):
    """Opens a stream of packed rows at a position; it leaves ``notes`` of where it is in that folder."""

    def __call__(self, *, begin: StreamPosition | None = None, notes: Path | None = None) -> IterableDataset: ...


class LanguageModelTrainer(AlumTrainer):
    """`AlumTrainer` for language models, on packed sequences: rows of ``input_ids`` alone.

    Instead of a ``train_dataset`` there may be a ``stream``, whose position is a part of checkpoints: a resumed run
    reads on there, and none of what was before. Validation rows may carry ``labels``. Masks are drawn when a step
    begins, from the seed, the number of the step and the row itself: a resumed run draws those of an undisturbed one,
    several processes those of one, and the mask rate follows the progress of training.
    """

    def __init__(self, *args: Any, supervise: Supervise, stream: RowStream | None = None, **kwargs: Any) -> None:
        self._stream = stream
        if stream is not None:
            self._notes = tempfile.TemporaryDirectory(prefix="alum-stream-", ignore_cleanup_errors=True)
            kwargs["train_dataset"] = stream(notes=Path(self._notes.name))
        super().__init__(*args, compute_metrics=language_model_metrics, **kwargs)
        self._supervise = supervise
        self._num_tokens = 0  # since the last log
        self._num_timed_tokens, self._timed_seconds = 0, 0.0

    def get_batch_samples(self, epoch_iterator: Iterator[Inputs], *args: Any, **kwargs: Any) -> Any:
        # The Trainer would skip what a resumed run has seen by reading it again, once its own iterator is asked.
        batches = self._supervised(self._batches_from_position or epoch_iterator)
        return super().get_batch_samples(batches, *args, **kwargs)

    _num_rows_drawn = 0
    """Rows of a stream that were trained on, by all processes."""
    _batches_from_position: Iterator[Inputs] | None = None

    @property
    def rows_follow_from_step(self) -> bool:
        return self.args.train_sampling_strategy == "random" and not self.is_deepspeed_enabled

    def _init_training_state(
        self, max_steps: int, steps_of_epoch: int, num_epochs: int, checkpoint: str | None, trial: Any
    ) -> Any:
        found = super()._init_training_state(max_steps, steps_of_epoch, num_epochs, checkpoint, trial)
        self._num_rows_drawn, self._batches_from_position = 0, None
        if self._stream is not None and checkpoint is not None and not self.args.ignore_data_skip:
            self._go_on_in_stream(self._stream, Path(checkpoint) / STREAM)
        return found

    def _go_on_in_stream(self, stream: RowStream, file: Path) -> None:
        # The first process reads for all, and may be alone on its machine with the checkpoint.
        kept = [read_position(file) if self.args.process_index == 0 and file.is_file() else None]
        (position,) = broadcast_object_list(kept)
        if position is None:
            raise InputError(
                f"{file.parent} has no {STREAM}, without which the place in the streamed text is not known: expected a "
                "checkpoint of this version. Begin a new run from its weights by --model_name_or_path."
            )
        self.train_dataset = stream(begin=position, notes=Path(self._notes.name))
        self._num_rows_drawn = position.row
        self._batches_from_position = iter(self.get_train_dataloader())

    def _get_train_sampler(self, *args: Any, **kwargs: Any) -> Any:
        if not has_length(self.train_dataset) or self.args.train_sampling_strategy != "random":
            return super()._get_train_sampler(*args, **kwargs)
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        return ShuffledRows(len(self.train_dataset), seed, epoch=lambda: int(self.state.epoch or 0))

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)
        if self._stream is not None and self.args.process_index == 0:
            write_position(Path(output_dir) / STREAM, position_at(self._num_rows_drawn, Path(self._notes.name)))

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
        for batch in batches:
            ids = batch["input_ids"]
            num_tokens = ids.numel() * self.args.world_size
            self._num_rows_drawn += len(ids) * self.args.world_size
            self._num_tokens += num_tokens
            self.state.num_input_tokens_seen += num_tokens  # which checkpoints keep
            if masks is None or rate is None:
                yield {**batch, "labels": ids}
            else:
                masked, labels = masks(ids, rate.at(progress), self._noise_of(ids))
                yield {**batch, "input_ids": masked, "labels": labels}

    def _noise_of(self, ids: Tensor) -> RowNoise:
        """Noise for masks: another one than that of perturbations, which are of the masked tokens."""
        everywhere = torch.ones_like(ids, dtype=torch.bool)
        return RowNoise.of_tokens(ids, everywhere, self._noise.common.seed_at(self.state.global_step))

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
        """Tokens per second of training, without evaluation and checkpoints; None without training."""
        self._time_logs(self._clock.take())  # since the last log
        return self._num_timed_tokens / self._timed_seconds if self._num_timed_tokens else None

    def _sums_so_far(self) -> dict[str, Any]:
        return {**super()._sums_so_far(), "timed_tokens": self._num_timed_tokens, "timed_seconds": self._timed_seconds}

    def _go_on_with(self, sums: dict[str, Any]) -> None:
        super()._go_on_with(sums)
        self._num_timed_tokens, self._timed_seconds = sums["timed_tokens"], sums["timed_seconds"]

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
