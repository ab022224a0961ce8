"""Wall time of training by part: data, clean pass, adversary, backward pass, optimizer, evaluation, checkpoints."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import TrainerCallback

REST = "other"
NOT_TRAINING = ("evaluation", "checkpoint")


@dataclass(frozen=True)
class StepTimes:
    """Seconds by part of training: of all steps as the program saw them, and of those where it awaited the device."""

    seen: dict[str, float]
    measured: dict[str, float]

    @property
    def training_seconds(self) -> float:
        """Seconds of training, without evaluation and checkpoints."""
        return sum(seconds for part, seconds in self.seen.items() if part not in NOT_TRAINING)

    def shares(self) -> dict[str, float]:
        """Share of each part in the time of the measured steps."""
        total = sum(self.measured.values())
        return {part: seconds / total for part, seconds in self.measured.items()} if total > 0 else {}


class StepClock:
    """Clock for the wall time of each part of training; parts that are nested are not counted twice.

    Accelerators run behind the program that drives them. There only the steps announced as ``measured`` are, and in
    them each part waits for the device; on the CPU every step is.
    """

    def __init__(self, device: torch.device) -> None:
        self._waits = device.type not in ("cpu", "meta")
        self._measured = not self._waits
        self._running = [REST]
        self._seen_seconds: defaultdict[str, float] = defaultdict(float)
        self._measured_seconds: defaultdict[str, float] = defaultdict(float)
        self._since = time.perf_counter()

    def start_step(self, measured: bool) -> None:
        """Begins a step, and says whether it is measured, on devices where not every step is."""
        if self._waits:
            self._tick()
            self._measured = measured

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Counts the time of the ``with`` block for the part called ``name``."""
        self.enter(name)
        try:
            yield
        finally:
            self.leave()

    def enter(self, name: str) -> None:
        self._tick()
        self._running.append(name)

    def leave(self) -> None:
        self._tick()
        self._running.pop()

    def take(self) -> StepTimes:
        """Returns the times since the last call, and begins anew."""
        self._tick()
        times = StepTimes(dict(self._seen_seconds), dict(self._measured_seconds))
        self._seen_seconds.clear()
        self._measured_seconds.clear()
        self._measured = not self._waits  # the step that was is over, and what comes before the next is no part of one
        return times

    def _tick(self) -> None:
        if self._waits and self._measured:
            torch.accelerator.synchronize()
        now = time.perf_counter()
        self._seen_seconds[self._running[-1]] += now - self._since
        if self._measured:
            self._measured_seconds[self._running[-1]] += now - self._since
        self._since = now


class ClockedOptimizer(TrainerCallback):
    """Trainer callback that clocks the optimizer, and drops all time from before training."""

    def __init__(self, clock: StepClock) -> None:
        self._clock = clock

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        self._clock.take()

    def on_pre_optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        self._clock.enter("optimizer")

    def on_optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        self._clock.leave()
