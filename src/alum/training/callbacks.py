"""What a run shows and writes while it goes: progress, readable log lines, records, and a clean stop."""

import json
import signal
from pathlib import Path
from types import FrameType
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback, ProgressCallback

_SHOWN = {
    "loss": "loss",
    "task_loss": "task",
    "adversarial_loss": "adversarial",
    "adversarial_gain": "gain",
    "learning_rate": "lr",
    "eval_loss": "validation loss",
}


class ConsoleProgress(ProgressCallback):
    """A progress bar, and a short line for each log instead of a printed dict."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if not state.is_world_process_zero or self.training_bar is None or not logs or "train_runtime" in logs:
            return
        values = {label: logs[name] for name, label in _SHOWN.items() if name in logs}
        for name, value in logs.items():
            if name.startswith("eval_") and name not in _SHOWN and not name.endswith(("runtime", "per_second")):
                values[f"validation {name.removeprefix('eval_')}"] = value
        if "adversarial" in values and logs.get("adv_alpha") == 0:
            values.pop("adversarial")
            values["adversary"] = "not yet"
        texts = [f"{label} {value if isinstance(value, str) else f'{value:.4g}'}" for label, value in values.items()]
        self.training_bar.write(f"step {state.global_step}/{state.max_steps}  " + "  ".join(texts))


class MetricsFile(TrainerCallback):
    """Appends each log as one JSON line to ``metrics.jsonl``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if state.is_world_process_zero and logs:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": state.global_step, **logs}) + "\n")


class StopCleanly(TrainerCallback):
    """Ctrl-C ends training after the step at hand, with a checkpoint; a second one at once."""

    def __init__(self) -> None:
        self.first_step = 0
        self.stopped_at_step: int | None = None
        self._asked = False
        self._former: Any = None

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.first_step = state.global_step
        self._former = signal.signal(signal.SIGINT, self._ask)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self._asked:
            self.stopped_at_step = state.global_step
            control.should_save = True
            control.should_training_stop = True

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.give_back()

    def give_back(self) -> None:
        """Ctrl-C does again what it did before training."""
        if self._former is not None:
            signal.signal(signal.SIGINT, self._former)
            self._former = None

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        self.give_back()


def use_own_console(trainer: Any) -> None:
    """Replaces the Trainer's console output by `ConsoleProgress`."""
    shows_bar = trainer.pop_callback(ProgressCallback) is not None
    trainer.remove_callback(PrinterCallback)
    if shows_bar:
        trainer.add_callback(ConsoleProgress())
