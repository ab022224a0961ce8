"""Trainer callbacks: a file of metrics, clean and early stops, a stop at divergence, when checkpoints are saved."""

import contextlib
import json
import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from accelerate.utils import gather
from transformers import EarlyStoppingCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState
from transformers.trainer_utils import SaveStrategy

from alum.core.errors import InputError
from alum.data.writing import explained_if_full, write_whole
from alum.training.records.resumed import taken_up

TIME_IS_OVER = 3  # exit code
STEPS_BETWEEN_AGREEMENTS = 4


# What to do where training has diverged.
BEGIN_AGAIN = "Begin again with a smaller learning_rate or a longer warm-up, or go on from a checkpoint before that."


class Diverged(InputError):
    """Training has diverged: the loss has been no number for several logs, or the weights are none in the end."""


class StopWhereDiverged(TrainerCallback, ExportableState):
    """Trainer callback that raises `Diverged` after some logs in a row whose loss is no number.

    By then the weights are beyond help. Checkpoints keep how many such logs there were.
    """

    def __init__(self, patience: int = 3) -> None:
        self._patience = patience
        self.num_logs = 0

    def state(self) -> dict[str, Any]:
        return {"args": {"patience": self._patience}, "attributes": {"num_logs": self.num_logs}}

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.num_logs = (taken_up(self, state) or {"num_logs": 0})["num_logs"]

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if logs and "loss" in logs:
            self.num_logs = 0 if math.isfinite(logs["loss"]) else self.num_logs + 1
            if self.num_logs == self._patience:
                raise Diverged(
                    f"the loss has been no number for {self._patience} logs, now at step {state.global_step}. "
                    f"{BEGIN_AGAIN}"
                )


class EarlyStopping(EarlyStoppingCallback):
    """Trainer callback that stops after some evaluations without a better metric, some of them before a checkpoint.

    Differs from that of transformers, which forgets them where a run goes on, and goes on where it had stopped.
    """

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        super().on_train_begin(args, state, control)  # type: ignore[no-untyped-call]
        kept = taken_up(self, state) or {"early_stopping_patience_counter": 0}
        self.early_stopping_patience_counter = kept["early_stopping_patience_counter"]
        if self.early_stopping_patience_counter >= self.early_stopping_patience:
            control.should_training_stop = True


class MetricsFile(TrainerCallback):
    """Trainer callback that appends each log to ``metrics.jsonl``.

    Where a run goes on, the file has what its checkpoint knows to have been logged: lines of later steps go, and those
    that were lost or damaged come back, with their values in the order of names.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.is_world_process_zero and (self._path.exists() or state.log_history):
            former = self._path.read_bytes() if self._path.exists() else b""
            lines = {json.dumps(logs, sort_keys=True): line for line, logs in _parsed(former)}
            logged = [_line_of(logs) for logs in state.log_history]
            kept = [lines.get(json.dumps(json.loads(line), sort_keys=True), line.encode()) for line in logged]
            write_whole(self._path, b"".join(kept))

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if state.is_world_process_zero and logs:
            with explained_if_full(self._path), self._path.open("a", encoding="utf-8") as file:
                file.write(_line_of({**logs, "step": state.global_step}))


def _line_of(logs: Mapping[str, Any]) -> str:
    # JSON has no NaN.
    values = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in logs.items()}
    return json.dumps({"step": values.pop("step"), **values}) + "\n"


def _parsed(content: bytes) -> Iterator[tuple[bytes, Any]]:
    """Whole lines and their values, without those that were torn or damaged."""
    for line in content.splitlines(keepends=True):
        with contextlib.suppress(ValueError, RecursionError):
            if line.endswith(b"\n"):
                yield line, json.loads(line)


class StopCleanly(TrainerCallback):
    """Trainer callback that stops with a checkpoint on SIGINT, SIGTERM or the end of ``max_minutes``.

    These count from ``begin``, a time of `time.monotonic`, or else from the beginning of training.
    Training stops after the step at hand. A second signal does what it does elsewhere: it ends the process at once.
    ``exit_code`` is 128 plus the number of the signal, or `TIME_IS_OVER`. Several processes stop at the same step, at
    which the first of them wants to.
    """

    def __init__(self, max_minutes: float | None = None, begin: float | None = None) -> None:
        self.stopped_at_step: int | None = None
        self.exit_code = 0
        self._max_seconds = math.inf if max_minutes is None else 60 * max_minutes
        self._begin, self._start = begin, 0.0
        self._saved_step: int | None = None
        self._signal: int | None = None
        self._signal_time = 0.0
        self._repeated_within_seconds = 0.0
        self._former: dict[int, Any] = {}

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._start = time.monotonic() if self._begin is None else self._begin
        # Terminals and schedulers signal each process, and torchrun passes the signal that it got itself on to them.
        self._repeated_within_seconds = 1.0 if args.world_size > 1 else 0.0
        in_main_thread = threading.current_thread() is threading.main_thread()  # no other may take signals
        self._former = {
            number: signal.signal(number, self._ask)
            for number in (signal.SIGINT, signal.SIGTERM)
            if in_main_thread and signal.getsignal(number) != signal.SIG_IGN  # as nohup asks for
        }

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        code = _largest_of_all_processes(self._exit_code_wanted(), args, state)
        if code and state.global_step < state.max_steps:
            self.exit_code, self.stopped_at_step = code, state.global_step
            control.should_training_stop = True

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Asks for a checkpoint to resume from; the Trainer comes here wherever it stops within an epoch."""
        if self.stopped_at_step is None:
            return
        if not _is_at_end_of_epoch(state):
            control.should_log = control.should_evaluate = False
        if args.save_strategy == SaveStrategy.BEST:
            control.should_evaluate = False  # or the Trainer saves only if the model is the best so far
        control.should_save = control.should_log or control.should_evaluate or self._saved_step != state.global_step

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._saved_step = state.global_step
        if self.stopped_at_step is not None:
            # With save_total_limit 1 the Trainer ends by loading the best checkpoint and deleting this one.
            state.best_model_checkpoint = None

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.give_back()

    def give_back(self) -> None:
        """Gives signals back the handlers that they had before training."""
        for number, former in self._former.items():
            signal.signal(number, former or signal.SIG_DFL)  # None: set by something other than Python
        self._former = {}

    def _exit_code_wanted(self) -> int:
        if self._signal is not None:
            return 128 + self._signal
        return TIME_IS_OVER if time.monotonic() - self._start >= self._max_seconds else 0

    def _ask(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._signal is None:
            self._signal, self._signal_time = number, now
        elif now - self._signal_time >= self._repeated_within_seconds:
            self.give_back()
            signal.raise_signal(number)


class SaveAfterEvaluation(TrainerCallback):
    """Trainer callback that saves the last step of an epoch or training only after what comes at the end of it.

    A run that went on from a checkpoint before the evaluation and log at the end of an epoch would not make up
    for them.
    """

    def __init__(self) -> None:
        self._is_due = False
        self._is_at_end = False

    def on_epoch_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._is_at_end = False

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if _is_at_end_of_epoch(state) or control.should_training_stop:
            self._put_off(control)

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if control.should_training_stop and not self._is_at_end:  # stopped early
            self._put_off(control)

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        control.should_save = control.should_save or self._is_due
        self._is_due, self._is_at_end = False, True

    def _put_off(self, control: TrainerControl) -> None:
        self._is_due = self._is_due or control.should_save
        control.should_save = False


class SaveEveryMinutes(TrainerCallback):
    """Trainer callback that saves whenever so many minutes have passed since the last checkpoint, or the start."""

    def __init__(self, minutes: float) -> None:
        self._seconds = 60 * minutes
        self._last_save = 0.0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._last_save = time.monotonic()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._last_save = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if not _is_at_end_of_epoch(state):  # a run that goes on would not make up for the evaluation that comes now
            self._save_if_due(args, state, control)

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._save_if_due(args, state, control)

    def _save_if_due(self, args: TrainingArguments, state: TrainerState, control: TrainerControl) -> None:
        is_due = time.monotonic() - self._last_save >= self._seconds
        if _largest_of_all_processes(int(is_due), args, state):
            control.should_save = True


def _is_at_end_of_epoch(state: TrainerState) -> bool:
    return state.epoch is not None and float(state.epoch).is_integer()


def _largest_of_all_processes(value: int, args: TrainingArguments, state: TrainerState) -> int:
    """The same in every process; several ask each other only every few steps, since that waits for the device."""
    if args.world_size == 1:
        return value
    if state.global_step % STEPS_BETWEEN_AGREEMENTS:
        return 0
    return int(gather(torch.tensor([value], device=args.device)).max())
