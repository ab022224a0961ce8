"""What the benchmarks measure with, and a rehearsal of each."""

import importlib
import json
import sys
import time
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import Trainer

from tiny_models import language_model
from tiny_runs import masked_sentences, plain_config, weights
from tiny_texts import write_text

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
harness = importlib.import_module("harness")
pretraining = importlib.import_module("pretraining")

MEBIBYTE = 1 << 20


def trainer_of(folder, rows=None, **settings):
    rows = masked_sentences() if rows is None else rows
    return Trainer(language_model(dropout=0.0), plain_config(folder, **settings), train_dataset=rows)


# -- steps -------------------------------------------------------------------------------------------------------------


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


# -- time --------------------------------------------------------------------------------------------------------------


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
    assert all(0.004 <= value < 0.2 for value in seconds["a"])
    assert all(0.012 <= value < 0.2 for value in seconds["b"])


def test_rounds_go_on_until_the_time_is_over():
    seconds = harness.seconds_in_turns({"a": lambda: time.sleep(0.01)}, max_seconds=0.3, steps_per_turn=1)
    assert 5 < len(seconds["a"]) < 30


def test_timings_are_compared_by_medians_and_within_rounds():
    found = harness.timing([1.0, 2.0, 3.0, 4.0, 5.0], baseline=[2.0, 2.0, 2.0, 4.0, 4.0])
    assert found == {
        "seconds": 3.0,
        "seconds_first_quartile": 2.0,
        "seconds_third_quartile": 4.0,
        "ratio_of_medians": 1.5,
        "median_of_ratios": 1.0,  # of 1/2, 1, 3/2, 1, 5/4
    }


# -- memory and operations ---------------------------------------------------------------------------------------------


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


# -- tables ------------------------------------------------------------------------------------------------------------


def test_tables_have_text_to_the_left_and_numbers_to_the_right():
    table = harness.markdown_table(["name", "seconds"], [("standard", "0.5")])
    assert table == "| name | seconds |\n| --- | --: |\n| standard | 0.5 |"


def test_targets_are_reached_or_missed():
    rows = [
        {"contender": "Hugging Face", "seconds": 2.0, "peak_bytes": 100},
        {"contender": "standard", "seconds": 1.0, "peak_bytes": 101},
    ]
    targets = [
        pretraining.Target("2x128", "standard", "seconds", 0.5),
        pretraining.Target("2x128", "standard", "peak_bytes", 1.0),
        pretraining.Target("4x256", "standard", "seconds", 0.5),  # not measured
    ]
    found = pretraining.outcomes(targets, [{"size": "2x128", "rows": rows}])
    assert [(each["figure"], each["share"], each["reached"]) for each in found] == [
        ("seconds", 0.5, True),
        ("peak_bytes", 1.01, False),
    ]


# -- rehearsals --------------------------------------------------------------------------------------------------------


def test_pretraining_can_be_rehearsed(tmp_path, monkeypatch, capsys):
    text = write_text(tmp_path / "text.txt")
    monkeypatch.setattr(sys, "argv", ["", "--rehearse", "--text", str(text), "--output_dir", str(tmp_path / "out")])
    pretraining.main()
    record = json.loads((tmp_path / "out" / "pretraining.json").read_text())
    (size,) = record["sizes"]
    rows = {row["contender"]: row for row in size["rows"]}
    assert list(rows) == ["Hugging Face", "standard", "alum_one_pass", "alum"]
    # Multiplications and additions, of the forward pass and twice for the backward, of each token: query, key, value
    # and output, the two layers of 4 times the width, the head's two layers, scores and weighted sums over the row.
    hidden, length, vocabulary, num_tokens = 32, 128, 30522, 2 * 128
    of_token = 4 * hidden**2 + 2 * 4 * hidden**2 + hidden**2 + hidden * vocabulary + 2 * length * hidden
    assert rows["Hugging Face"]["flops"] == 3 * 2 * num_tokens * of_token
    assert rows["standard"]["flops"] < 0.4 * rows["Hugging Face"]["flops"]
    # Its logits, their logarithms and the gradients of both, of every token; ours are of the predicted ones.
    assert rows["Hugging Face"]["peak_bytes"] > rows["Hugging Face"]["held_bytes"] + 3 * 4 * num_tokens * vocabulary
    assert rows["standard"]["peak_bytes"] < rows["Hugging Face"]["peak_bytes"]
    for row in rows.values():
        assert 0 < row["seconds_first_quartile"] <= row["seconds"] <= row["seconds_third_quartile"]
        assert row["held_bytes"] == rows["standard"]["held_bytes"]
    assert capsys.readouterr().out.strip() == (tmp_path / "out" / "pretraining.md").read_text().strip()
