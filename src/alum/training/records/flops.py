"""FLOPs of a training run, estimated from a sample of its steps."""

from typing import Any

from torch.utils.flop_counter import FlopCounterMode
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class SampledFlops(TrainerCallback):
    """Counts the floating-point operations of every n-th step, forward, backward and adversary, and scales them up.

    Counting slows a step down, so few are counted: the second step and every n-th from there on, since at the first one
    the adversary is measured.
    """

    def __init__(self, every_steps: int) -> None:
        self._every = every_steps
        self._counter: FlopCounterMode | None = None
        self._counted: list[int] = []
        self._num_steps = 0

    @property
    def total(self) -> float:
        """FLOPs of all steps, as estimated from the counted ones."""
        return sum(self._counted) / max(len(self._counted), 1) * self._num_steps

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        first = min(1, self._every - 1, state.max_steps - 1)
        if state.global_step % self._every == first:
            self._counter = FlopCounterMode(display=False)
            self._counter.__enter__()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._num_steps += 1
        if self._counter is not None:
            self._counter.__exit__(None, None, None)
            self._counted.append(self._counter.get_total_flops())
            self._counter = None
