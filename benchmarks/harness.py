"""How the benchmarks measure: training that waits after each step, turns that are timed, exact memory, operations."""

import os
import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from itertools import accumulate
from threading import Semaphore, Thread
from typing import Any, NamedTuple, TypeVar

from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode
from transformers import Trainer, TrainerCallback, TrainerControl
from transformers.trainer_callback import PrinterCallback

from alum.training.records.clock import REST
from alum.training.trainer import AlumTrainer
from benchmarks.profiling import OperationTimes
from benchmarks.records import progress
from benchmarks.trainings import model_of

Name = TypeVar("Name", bound=Hashable)


class SteppedTraining:
    """A Trainer's own ``train()``, which waits after each step until it is asked for the next one.

    It runs in a thread of its own, and only while `step` waits for it, so that several can take turns in one process
    without any part of their loops being written anew or left out. A step reaches from one ``on_step_end`` to the next:
    batch, collator, forward, backward, clipping, optimizer, scheduler, ``zero_grad``, callbacks. Use it in ``with``.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self._wait = _Wait()
        self._thread = Thread(target=self._train, daemon=True)
        self._error: BaseException | None = None
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(self._wait)

    def __enter__(self) -> "SteppedTraining":
        self._thread.start()
        self._hand_over()
        return self

    def __exit__(self, *_: object) -> None:
        self._wait.ends = True
        self._wait.goes_on.release()
        self._thread.join()

    def step(self, inside: AbstractContextManager[Any] | None = None) -> None:
        """One optimisation step, in the thread of which ``inside`` is entered before it and left after it."""
        self._wait.inside = inside or nullcontext()
        self._wait.goes_on.release()
        self._hand_over()

    def held_bytes(self) -> int:
        """Of weights, buffers and optimizer state, which are there before and after each step."""
        model, optimizer = model_of(self.trainer), self.trainer.optimizer
        assert optimizer is not None
        state = (value for values in optimizer.state.values() for value in values.values() if isinstance(value, Tensor))
        tensors = (*model.parameters(), *model.buffers(), *state)
        return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())

    def _hand_over(self) -> None:
        self._wait.has_stopped.acquire()
        if self._error is not None:
            raise self._error

    def _train(self) -> None:
        try:
            self.trainer.train()
            if not self._wait.ends:
                raise RuntimeError("training is over: raise max_steps")
        except BaseException as error:
            self._error = error
        finally:
            self._wait.has_stopped.release()


class _Wait(TrainerCallback):
    def __init__(self) -> None:
        self.goes_on, self.has_stopped = Semaphore(0), Semaphore(0)
        self.inside: AbstractContextManager[Any] = nullcontext()
        self.ends = False

    def on_train_begin(self, args: Any, state: Any, control: TrainerControl, **_: Any) -> None:
        self._until_told(control)

    def on_step_end(self, args: Any, state: Any, control: TrainerControl, **_: Any) -> None:
        if self.ends:
            return
        self.inside.__exit__(None, None, None)
        self._until_told(control)

    def _until_told(self, control: TrainerControl) -> None:
        self.has_stopped.release()
        self.goes_on.acquire()
        if self.ends:
            control.should_training_stop = True
        else:
            self.inside.__enter__()


# -- time --------------------------------------------------------------------------------------------------------------


class Seconds(NamedTuple):
    """Of one step: by the clock, and of processors at work, which other programs on the machine disturb less."""

    wall: float
    processor: float


def seconds_in_turns(
    steps: Mapping[Name, Callable[[], None]], max_seconds: float, steps_per_turn: int, min_rounds: int = 3
) -> dict[Name, list[Seconds]]:
    """Seconds per step of each contender, one figure a round, for as many rounds as begin within ``max_seconds``.

    In a round each takes some steps, beginning with another one each time: what else the machine does then falls on all
    of them alike. A first round is thrown away.
    """
    names = list(steps)
    rounds: list[dict[Name, Seconds]] = []
    end = time.perf_counter() + max_seconds
    while len(rounds) <= min_rounds or time.perf_counter() < end:
        first = len(rounds) % len(names)
        rounds.append({name: _seconds(steps[name], steps_per_turn) for name in names[first:] + names[:first]})
    return {name: [seconds[name] for seconds in rounds[1:]] for name in names}


def _seconds(step: Callable[[], None], count: int) -> Seconds:
    start, start_of_work = time.perf_counter(), time.process_time()
    for _ in range(count):
        step()
    return Seconds((time.perf_counter() - start) / count, (time.process_time() - start_of_work) / count)


def timing(turns: Sequence[Seconds], baseline: Sequence[Seconds]) -> dict[str, float]:
    """Median and quartiles of the seconds per step, and how they compare with another contender's of the same rounds:
    the ratio of the medians, and the median of the ratios within a round, which drifts of the machine leave alone."""
    seconds = [turn.wall for turn in turns]
    first, median, third = statistics.quantiles(seconds, method="inclusive")
    pairs = list(zip(turns, baseline, strict=True))
    return {
        "seconds": median,
        "seconds_first_quartile": first,
        "seconds_third_quartile": third,
        "processor_seconds": statistics.median(turn.processor for turn in turns),
        "ratio_of_medians": median / statistics.median(turn.wall for turn in baseline),
        "median_of_ratios": statistics.median(own.wall / other.wall for own, other in pairs),
        "processor_ratio": statistics.median(own.processor / other.processor for own, other in pairs),
    }


# -- memory and operations ---------------------------------------------------------------------------------------------


class PeakMemory:
    """``bytes``: the most that PyTorch had allocated on the CPU at one moment inside, over what it had at the start.

    From the allocator's own record of each allocation and release, those within operations included: exact, and the
    same in every run. Differs from what the system counts, which also has the libraries' own buffers and gaps. What
    was allocated before and is released inside is not counted as released.
    """

    bytes = 0

    def __enter__(self) -> "PeakMemory":
        os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # or the profiler announces each start and stop
        self._profile = profile(activities=[ProfilerActivity.CPU], profile_memory=True)
        self._profile.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._profile.__exit__(None, None, None)
        profiler = self._profile.profiler
        assert profiler is not None
        assert profiler.kineto_results is not None
        events: list[Any] = profiler.kineto_results.events()  # more is known of them than their types say
        changes = (event.nbytes() for event in events if event.name() == "[memory]")
        self.bytes = max(accumulate(changes, initial=0))


def cost_of(training: SteppedTraining, num_steps: int) -> dict[str, float]:
    """Peak memory over some steps, and their mean number of floating-point operations.

    They depend on the seed, not on the machine: a little of both changes from step to step with what is masked. A step
    is taken first, after which the optimizer has its state.
    """
    with PeakMemory():  # the profiler complains if its first start is in another thread than the main one
        pass
    training.step()
    memories, counters = [], []
    for _ in range(num_steps):
        training.step(memory := PeakMemory())
        training.step(counter := FlopCounterMode(display=False))
        memories.append(memory.bytes)
        counters.append(counter.get_total_flops())
    held = training.held_bytes()
    return {"peak_bytes": held + max(memories), "held_bytes": held, "flops": statistics.mean(counters)}


# -- comparisons -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Effort:
    """How much is measured: memory, operations, their times by kind in so many steps each; and the time in turns."""

    max_seconds: float
    steps_per_turn: int = 2
    counted_steps: int = 2
    profiled_steps: int = 0


def comparison(trainers: Mapping[str, Trainer], floor: str, effort: Effort) -> list[dict[str, Any]]:
    """A row of figures for each contender; all take the same number of steps, so all see the same batches."""
    with ExitStack() as stack:
        trainings = {name: stack.enter_context(SteppedTraining(trainer)) for name, trainer in trainers.items()}
        progress("  memory and FLOPs")
        costs = {name: cost_of(training, effort.counted_steps) for name, training in trainings.items()}
        kinds = seconds_by_kind(trainings, effort.profiled_steps)
        progress(f"  time, {effort.max_seconds:.0f} seconds")
        steps = {name: training.step for name, training in trainings.items()}
        for trainer in trainers.values():
            seconds_by_part(trainer)  # from here on
        turns = seconds_in_turns(steps, effort.max_seconds, effort.steps_per_turn)
        parts = {name: seconds_by_part(trainer) for name, trainer in trainers.items()}
    num_steps = effort.steps_per_turn * (1 + len(turns[floor]))
    return [
        {
            "contender": name,
            **timing(turns[name], turns[floor]),
            **costs[name],
            "seconds_by_round": [turn.wall for turn in turns[name]],
            **({"seconds_by_kind": kinds[name]} if kinds else {}),
            "seconds_by_part": {part: seconds / num_steps for part, seconds in parts[name].items()},
        }
        for name in trainers
    ]


def seconds_by_kind(trainings: Mapping[str, SteppedTraining], num_steps: int) -> dict[str, dict[str, float]]:
    """Of one step's operations, the median over some steps, which the contenders take in turns."""
    steps: dict[str, list[OperationTimes]] = {name: [] for name in trainings}
    for _ in range(num_steps):
        for name, training in trainings.items():
            training.step(times := OperationTimes())
            steps[name].append(times)
    return {
        name: {kind: statistics.median(times.seconds[kind] for times in taken) for kind in taken[0].seconds}
        for name, taken in steps.items()
        if taken
    }


def seconds_by_part(trainer: Trainer) -> dict[str, float]:
    """Of one of our trainers since the last call, without what its clock calls other, where it waits for its turn."""
    seconds = trainer._clock.take().seen if isinstance(trainer, AlumTrainer) else {}
    return {part: value for part, value in seconds.items() if part != REST}
