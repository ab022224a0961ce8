"""Notice of an adversary that was asked for and never trained."""

from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class Attendance(TrainerCallback):
    """Trainer callback that knows at each log, and when training ends, whether an adversary was asked for in vain.

    ``is_asked_for`` says of a step's number, from 0, whether it should be adversarial. ``miss`` is called, with the
    steps so far, where one should have been and `has_trained` was never set.
    """

    def __init__(self, is_asked_for: Callable[[int], bool], miss: Callable[[int], None]) -> None:
        self._is_asked_for = is_asked_for
        self._miss = miss
        self._is_due = False
        self.has_trained = False

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        self._is_due = self.has_trained = False

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.has_trained:
            return
        self._is_due = self._is_due or self._is_asked_for(state.global_step - 1)
        is_looked_at = control.should_log or control.should_training_stop or state.global_step >= state.max_steps
        if self._is_due and is_looked_at:
            self._miss(state.global_step)
