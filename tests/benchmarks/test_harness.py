"""How steps are taken, timed and counted."""

import time

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import Trainer

from benchmarks import harness
from tiny_models import language_model
from tiny_runs import masked_sentences, plain_config, weights

MEBIBYTE = 1 << 20


def trainer_of(folder, rows=None, **settings):
    rows = masked_sentences() if rows is None else rows
    return Trainer(language_model(dropout=0.0), plain_config(folder, **settings), train_dataset=rows)


def test_training_in_turns_is_training(tmp_path):
    undisturbed, *in_turns = (trainer_of(tmp_path) for _ in range(3))
    undisturbed.train()
    with harness.SteppedTraining(in_turns[0]) as one, harness.SteppedTraining(in_turns[1]) as other:
        for number in range(1, 5):
            for training in (one, other):
                assert training.trainer.state.global_step == number - 1
                training.step()
                assert training.trainer.state.global_step == number
    for trainer in in_turns:
        for name, value in weights(undisturbed).items():
            assert torch.equal(weights(trainer)[name], value)


def test_training_stops_where_it_is_left(tmp_path):
    with harness.SteppedTraining(trainer_of(tmp_path, max_steps=100)) as training:
        training.step()
        training.step()
    assert training.trainer.state.global_step == 2


def test_what_goes_wrong_in_a_step_is_raised(tmp_path):
    rows = [{**row, "input_ids": row["input_ids"] + 1000} for row in masked_sentences()]
    with pytest.raises(IndexError), harness.SteppedTraining(trainer_of(tmp_path, rows)) as training:
        training.step()


def test_no_step_is_timed_after_the_last(tmp_path):
    with harness.SteppedTraining(trainer_of(tmp_path, max_steps=1)) as training:
        training.step()
        with pytest.raises(RuntimeError, match="max_steps"):
            training.step()


def test_each_round_begins_with_another_and_the_first_does_not_count():
    order = []

    def step(name, seconds):
        warm = name in order
        order.append(name)
        time.sleep(seconds if warm else 0.5)

    steps = {"a": lambda: step("a", 0.004), "b": lambda: step("b", 0.012)}
    seconds = harness.seconds_in_turns(steps, max_seconds=0.0, steps_per_turn=2, min_rounds=3)
    assert "".join(order) == "aabb" + "bbaa" + "aabb" + "bbaa"
    assert [len(values) for values in seconds.values()] == [3, 3]
    # The first would have taken 0.5 seconds; on a busy machine some later one may too.
    assert 0.004 <= min(value.wall for value in seconds["a"]) < 0.4
    assert 0.012 <= min(value.wall for value in seconds["b"]) < 0.4


def test_rounds_go_on_until_the_time_is_over():
    begin = time.perf_counter()
    seconds = harness.seconds_in_turns({"a": lambda: time.sleep(0.01)}, max_seconds=0.3, steps_per_turn=1)
    assert time.perf_counter() - begin >= 0.3
    assert 3 <= len(seconds["a"]) < 30


def test_time_asleep_is_none_of_the_processor():
    (asleep,) = harness.seconds_in_turns({"a": lambda: time.sleep(0.05)}, 0.0, steps_per_turn=1, min_rounds=1)["a"]
    assert asleep.processor < 0.02 < 0.05 <= asleep.wall


def test_timings_are_compared_by_medians_and_within_rounds():
    own = [harness.Seconds(wall, 3.0) for wall in (1.0, 2.0, 3.0, 4.0, 5.0)]
    other = [harness.Seconds(wall, processor) for wall, processor in ((2, 1), (2, 2), (2, 6), (4, 6), (4, 6))]
    assert harness.timing(own, baseline=other) == {
        "seconds": 3.0,
        "seconds_first_quartile": 2.0,
        "seconds_third_quartile": 4.0,
        "processor_seconds": 3.0,
        "ratio_of_medians": 1.5,
        "median_of_ratios": 1.0,  # of 1/2, 1, 3/2, 1, 5/4
        "processor_ratio": 0.5,  # of 3, 3/2, 1/2, 1/2, 1/2
    }


def test_peak_memory_counts_what_is_alive_at_once():
    former = torch.zeros(MEBIBYTE, dtype=torch.uint8)
    for _ in range(2):  # what an earlier measurement left alive is not counted again
        with harness.PeakMemory() as memory:
            one = torch.zeros(3 * MEBIBYTE, dtype=torch.uint8)
            two = torch.zeros(2 * MEBIBYTE, dtype=torch.uint8)
            del one
            three = torch.zeros(4 * MEBIBYTE, dtype=torch.uint8)
            del two, three
            kept = torch.zeros(MEBIBYTE, dtype=torch.uint8)
        assert memory.bytes == 6 * MEBIBYTE
    assert len(former) == len(kept)


def test_peak_memory_counts_what_operations_allocate_inside():
    values = torch.zeros(MEBIBYTE)
    with harness.PeakMemory() as memory:
        values.sort()
    assert memory.bytes > values.nbytes + 8 * len(values)  # the sorted values and their indices, and what sorting takes


def test_the_cost_of_a_step_is_counted_in_the_thread_that_takes_it(tmp_path):
    rows = masked_sentences(8)
    batch = {key: torch.stack([row[key] for row in rows]) for key in rows[0]}
    with FlopCounterMode(display=False) as counter:
        language_model(dropout=0.0).train()(**batch).loss.backward()
    trainer = trainer_of(tmp_path, rows, max_steps=100, optim="adamw_torch")
    with harness.SteppedTraining(trainer) as training:
        cost = harness.cost_of(training, num_steps=2)
    assert cost["flops"] == counter.get_total_flops()
    parameters, buffers = list(trainer.model.parameters()), list(trainer.model.buffers())
    num_weights = sum(parameter.numel() for parameter in parameters)
    # In fp32: weights and Adam's two moments of each; for every parameter the number of steps taken.
    assert cost["held_bytes"] == 12 * num_weights + 4 * len(parameters) + sum(buffer.nbytes for buffer in buffers)
    assert cost["peak_bytes"] > cost["held_bytes"] + 4 * num_weights  # the gradients are alive at the end
