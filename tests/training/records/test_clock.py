import time

import pytest
import torch

from alum.training.records.clock import StepClock


def test_every_moment_belongs_to_one_part():
    begin = time.perf_counter()
    clock = StepClock(torch.device("cpu"))
    time.sleep(0.02)
    with clock.part("outer"):
        time.sleep(0.02)
        with clock.part("inner"):
            time.sleep(0.04)
        time.sleep(0.02)
    times = clock.take()
    elapsed = time.perf_counter() - begin
    assert set(times.seen) == {"other", "outer", "inner"}
    assert 0.1 <= sum(times.seen.values()) <= elapsed
    assert times.seen["inner"] >= 0.04
    assert times.seen["outer"] >= 0.04
    assert times.seen["other"] >= 0.02
    assert sum(times.shares().values()) == pytest.approx(1)


def test_a_part_ends_where_what_it_holds_fails():
    clock = StepClock(torch.device("cpu"))
    with pytest.raises(ZeroDivisionError), clock.part("failing"):
        _ = 1 / 0
    clock.take()
    assert set(clock.take().seen) == {"other"}


def test_taking_begins_anew():
    clock = StepClock(torch.device("cpu"))
    with clock.part("data"):
        time.sleep(0.02)
    assert clock.take().seen["data"] >= 0.02
    assert "data" not in clock.take().seen


def test_evaluation_and_checkpoints_are_not_training():
    clock = StepClock(torch.device("cpu"))
    for part in ("clean", "evaluation", "checkpoint"):
        with clock.part(part):
            time.sleep(0.02)
    times = clock.take()
    assert times.training_seconds == pytest.approx(times.seen["clean"] + times.seen["other"])
