"""FLOPs of a training run, estimated from a sample of its steps."""

from typing import Any

from torch.utils.flop_counter import FlopCounterMode
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState

from alum.training.records.resumed import taken_up


class SampledFlops(TrainerCallback, ExportableState):
    """Counts the floating-point operations of every n-th step, forward, backward and adversary, and scales them up.

    Counting slows a step down, so few are counted: the second step and every n-th from there on, since at the first one
    the adversary is measured. Checkpoints keep what was counted.
    """

    def __init__(self, every_steps: int) -> None:
        self._every = every_steps
        self._counter: FlopCounterMode | None = None
        self.counted_flops = 0
        self.num_counted = 0
        self.num_steps = 0

    @property
    def total(self) -> float:
        """FLOPs of all steps, as estimated from the counted ones."""
        return self.counted_flops / max(self.num_counted, 1) * self.num_steps

    def state(self) -> dict[str, Any]:
        names = ("counted_flops", "num_counted", "num_steps")
        return {"args": {"every_steps": self._every}, "attributes": {name: getattr(self, name) for name in names}}

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        begun = {"counted_flops": 0, "num_counted": 0, "num_steps": state.global_step}
        for name, value in (taken_up(self, state) or begun).items():
            setattr(self, name, value)

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        first = min(1, self._every - 1, state.max_steps - 1)
        if state.global_step % self._every == first:
            self._counter = FlopCounterMode(display=False)
            self._counter.__enter__()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.num_steps += 1
        if self._counter is not None:
            self._counter.__exit__(None, None, None)
            self.counted_flops += self._counter.get_total_flops()
            self.num_counted += 1
            self._counter = None
