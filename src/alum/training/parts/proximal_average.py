"""Average of the weights that a proximal term holds a training to: followed step by step, kept in checkpoints."""

import logging
from collections.abc import Callable
from pathlib import Path

from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from alum.core.method_settings import Method
from alum.core.schedules.averaging import momentum_at
from alum.models.averaged_weights import AveragedWeights

logger = logging.getLogger(__name__)

AVERAGED_WEIGHTS = "averaged_weights.safetensors"
"""File of a checkpoint."""


class ProximalAverage(TrainerCallback):
    """Trainer callback that holds the average of ``model`` while its ``method`` has a proximal term.

    All processes have the same weights, and each keeps an average of its own.
    """

    def __init__(self, model: Callable[[], nn.Module], method: Callable[[], Method]) -> None:
        self._model = model
        self._method = method
        self._weights: AveragedWeights | None = None
        self._checkpoint: Path | None = None

    def weights(self) -> AveragedWeights | None:
        """Averaged weights; None where no term asks for them. They begin where they are first asked for."""
        if not self._method().has_proximal_term:
            return None
        if self._weights is None:
            self._weights = AveragedWeights(self._model())
        return self._weights

    def resume(self, checkpoint: Path) -> None:
        """Has the training that begins next go on from a checkpoint's average."""
        self._checkpoint = checkpoint

    def begin(self) -> None:
        """Starts a training, from the model's weights or the average of the checkpoint that it goes on from."""
        self._weights = None
        checkpoint, self._checkpoint = self._checkpoint, None
        weights = self.weights()
        if weights is None or checkpoint is None:
            return
        if (checkpoint / AVERAGED_WEIGHTS).is_file():
            weights.load(checkpoint / AVERAGED_WEIGHTS)
        else:
            logger.warning(
                "%s has no %s, as it was trained without a proximal term: the average begins at its weights.",
                checkpoint,
                AVERAGED_WEIGHTS,
            )

    def save(self, folder: Path) -> None:
        if (weights := self.weights()) is not None:
            weights.save(folder / AVERAGED_WEIGHTS)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        if (weights := self.weights()) is not None:
            progress = state.global_step / max(state.max_steps, 1)
            weights.follow(momentum_at(progress, self._method().proximal_momentum))
