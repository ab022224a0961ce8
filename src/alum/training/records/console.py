"""Console output of training: progress bars and readable log lines."""

import sys
import time
from collections.abc import Callable
from typing import Any

from tqdm.auto import tqdm
from transformers import TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from transformers.trainer_utils import has_length

from alum.core.method_settings import Method
from alum.data.visible_text import counted, fitted, terminal_width, visible_line, wrapped
from alum.models.loading.weights_in_parts import num_parameters

SECONDS_BETWEEN_LINES = 60  # where there are no bars

_SHOWN = {
    "adversarial_gain": "gain",
    "adversarial_strength": "strength",
    "divergence": "divergence",
    "task_loss": "task",
    "adversarial_loss": "adversarial",
    "loss": "loss",
    "learning_rate": "lr",
    "tokens_per_second": "tokens/s",
    "eval_loss": "validation loss",
}
_NOT_SHOWN = ("runtime", "per_second", "model_preparation_time", "num_tokens")


class ConsoleProgress(ProgressCallback):
    """Trainer callback for the console: what is trained, a short line for each log, and bars on a terminal.

    Where standard error is none, as in a job's log, a line comes instead of bars whenever a minute has passed.
    ``method`` says by which method is trained, when training begins; None for a Trainer without one.
    """

    def __init__(self, method: Callable[[], Method | None]) -> None:
        super().__init__()
        self._method = method
        self.training_bar: Any = None
        self.prediction_bar: Any = None
        self._has_bars = sys.stderr.isatty()
        self._num_batches = 0
        self._start = self._last_line = time.monotonic()
        self._first_step = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.current_step = 0
        self._start, self._first_step = time.monotonic(), state.global_step
        if state.is_world_process_zero:
            self.training_bar = self._bar("Training", state.max_steps)
            self._write(_opening(args, state, kwargs["model"], self._method()))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        super().on_step_end(args, state, control, **kwargs)  # type: ignore[no-untyped-call]
        if state.is_world_process_zero and self._is_silent_for_long():
            seconds = time.monotonic() - self._start
            left = seconds / (state.global_step - self._first_step) * (state.max_steps - state.global_step)
            times = f"{tqdm.format_interval(seconds)} passed, {tqdm.format_interval(left)} left"
            self._write(f"step {state.global_step}/{state.max_steps}", times)

    def on_prediction_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        eval_dataloader: Any = None,
        **kwargs: Any,
    ) -> None:
        if not state.is_world_process_zero or not has_length(eval_dataloader):
            return
        if self.prediction_bar is None:
            self.prediction_bar = self._bar("Evaluating", len(eval_dataloader), leave=self.training_bar is None)
            self._num_batches = 0
            self._last_line = time.monotonic()
        self._num_batches += 1
        self.prediction_bar.update(1)
        if self._is_silent_for_long():
            self._write(f"evaluating: batch {self._num_batches}/{len(eval_dataloader)}")

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
            if name.startswith("eval_") and name not in _SHOWN and not name.endswith(_NOT_SHOWN):
                values[f"validation {name.removeprefix('eval_')}"] = value
        if "adversarial" in values and logs.get("adv_alpha") == 0:
            values.pop("adversarial")
            values["adversary"] = "not yet"
        if "adversarial" in values:
            values.pop("divergence", None)  # the same but for alpha
        self._write(
            f"step {state.global_step}/{state.max_steps}", *(f"{name} {_text(values[name])}" for name in values)
        )

    def close(self) -> None:
        """Closes the bars where training failed, so that the error has a line of its own."""
        for bar in (self.prediction_bar, self.training_bar):
            if bar is not None:
                bar.close()
        self.prediction_bar = self.training_bar = None

    def _bar(self, name: str, total: int, leave: bool = True) -> Any:
        return tqdm(desc=name, total=total, leave=leave, dynamic_ncols=True, disable=not self._has_bars)

    def _write(self, start: str, *items: str) -> None:
        """Writes a line; in a terminal that is too narrow several, each further one below the first one's items."""
        self._last_line = time.monotonic()
        width, line = terminal_width(sys.stdout), visible_line("  ".join([start, *items]))
        if items and width is not None:
            lines = wrapped([visible_line(item) for item in items], width - len(start) - 2, gap="  ")
            line = f"{start}  " + f"\n{' ' * (len(start) + 2)}".join(lines)
        tqdm.write(fitted(line, sys.stdout))

    def _is_silent_for_long(self) -> bool:
        return not self._has_bars and time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES


def _opening(args: TrainingArguments, state: TrainerState, model: Any, method: Method | None) -> str:
    num_rows = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
    text = f"{num_parameters(model):,} parameters; {counted(state.max_steps, 'step')} of {counted(num_rows, 'row')}"
    if method is not None:
        text += f" by {method.name}{method.place}"
        start_fraction = getattr(args, "adv_start_fraction", None)
        if method.alpha > 0 and start_fraction:
            text += f", standard for the first {100 * start_fraction:g} %"
    return text


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def announce(args: TrainingArguments, line: str) -> None:
    """Writes a line on what takes long before training begins, where training will write its own."""
    if not args.disable_tqdm and args.process_index == 0:
        tqdm.write(fitted(visible_line(line), sys.stdout))


def use_own_console(trainer: Any) -> ConsoleProgress:
    """Replaces a Trainer's console output by `ConsoleProgress`; with ``disable_tqdm`` a run stays silent."""
    shows_bar = trainer.pop_callback(ProgressCallback) is not None
    trainer.remove_callback(PrinterCallback)
    console = ConsoleProgress(lambda: getattr(trainer, "method", None))
    if shows_bar:
        trainer.add_callback(console)
    return console
