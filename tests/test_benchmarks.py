"""What the benchmarks measure with, and a rehearsal of each."""

import importlib
import json
import platform
import shutil
import sys
import time

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import Trainer

from alum.core.methods import METHODS
from places import ROOT
from tiny_models import language_model
from tiny_runs import masked_sentences, plain_config, weights
from tiny_stages import save_untrained
from tiny_texts import opinions, write_rows, write_text

sys.path.append(str(ROOT / "benchmarks"))
harness = importlib.import_module("harness")
records = importlib.import_module("records")
pretraining = importlib.import_module("pretraining")
finetuning = importlib.import_module("finetuning")
profiling = importlib.import_module("profiling")
compiled = importlib.import_module("compiled")
allocator = importlib.import_module("allocator")
growth = importlib.import_module("growth")
cost_page = importlib.import_module("cost_page")
peers = importlib.import_module("peers")

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
    assert all(0.004 <= value.wall < 0.2 for value in seconds["a"])
    assert all(0.012 <= value.wall < 0.2 for value in seconds["b"])


def test_rounds_go_on_until_the_time_is_over():
    seconds = harness.seconds_in_turns({"a": lambda: time.sleep(0.01)}, max_seconds=0.3, steps_per_turn=1)
    assert 5 < len(seconds["a"]) < 30


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


def test_the_time_of_operations_is_that_of_their_kinds():
    weight = torch.nn.Parameter(torch.randn(512, 512))
    table = torch.nn.Embedding(64, 512)
    optimizer = torch.optim.AdamW([weight, *table.parameters()])
    with profiling.OperationTimes() as times:
        (table(torch.arange(64)) @ weight).sigmoid().sum().backward()
        torch.nn.functional.dropout(weight, 0.1)
        torch.nn.utils.clip_grad_norm_([weight, *table.parameters()], 1.0)
        optimizer.step()
    assert set(times.seconds) == set(profiling.NAMES)
    assert all(seconds > 0 for seconds in times.seconds.values())


def test_an_operation_within_another_is_of_its_kind():
    with profiling.OperationTimes() as plain:
        torch.zeros(1 << 22)
    assert plain.seconds[profiling.REST] > 0
    assert sum(plain.seconds.values()) == plain.seconds[profiling.REST]
    table = torch.nn.Embedding(1 << 16, 64)
    loss = table(torch.tensor([1])).sum()
    with profiling.OperationTimes() as within:
        loss.backward()  # makes as many zeros, and little else
    assert within.seconds[profiling.TABLES] > within.seconds[profiling.REST]


# -- tables ------------------------------------------------------------------------------------------------------------


def test_tables_have_text_to_the_left_and_numbers_to_the_right():
    table = records.markdown_table(["name", "seconds"], [("standard", "0.5")])
    assert table == "| name | seconds |\n| --- | --: |\n| standard | 0.5 |"


def test_targets_are_reached_or_missed():
    rows = [
        {"contender": "theirs", "seconds": 2.0, "peak_bytes": 100, "gain": 2.0},
        {"contender": "ours", "seconds": 1.0, "peak_bytes": 101, "gain": 80.0},
    ]
    targets = [
        records.Target("small", "ours", "seconds", "theirs", 0.5),
        records.Target("small", "ours", "peak_bytes", "theirs", 1.0),
        records.Target("small", "ours", "gain", "theirs", 50.0, "at least"),
        records.Target("small", "no package", "seconds", "theirs", 0.5),
        records.Target("not measured", "ours", "seconds", "theirs", 0.5),
    ]
    found = records.outcomes(targets, {"small": rows})
    assert [(each["figure"], each["share"], each["reached"]) for each in found] == [
        ("seconds", 0.5, True),
        ("peak_bytes", 1.01, False),
        ("gain", 40.0, False),
    ]


def test_parts_of_a_record_are_measured_one_by_one(tmp_path):
    file = tmp_path / "new" / "cost.json"
    records.write_part(file, "one", {"seconds": 1})
    records.write_part(file, "two", {"seconds": 2})
    records.write_part(file, "one", {"seconds": 3})
    assert json.loads(file.read_text()) == {"one": {"seconds": 3}, "two": {"seconds": 2}}


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
    assert rows["standard"]["gain"] is None
    assert rows["alum_one_pass"]["gain"] > 1.5
    assert capsys.readouterr().out.strip() == (tmp_path / "out" / "pretraining.md").read_text().strip()


def rehearse_finetuning(monkeypatch, folder):
    tokenizer = save_untrained(folder / "model")
    sentences = [{"sentence": row["text"], "label": row["label"]} for row in opinions(64)]
    names = [row["label"] for row in sentences]
    classes = sorted(set(names))
    sentences = [{**row, "label": classes.index(row["label"])} for row in sentences]
    pairs = [
        {"premise": row["sentence"], "hypothesis": "a film", "label": index % 3} for index, row in enumerate(sentences)
    ]
    for name, rows in (("glue_sst2", sentences), ("snli_sample", pairs)):
        (folder / name).mkdir()
        write_rows(folder / name / "train.jsonl", rows)
    arguments = ["--rehearse", "--tokenizer", str(tokenizer), "--data", str(folder), "--output_dir", str(folder)]
    monkeypatch.setattr(sys, "argv", ["", *arguments])
    finetuning.main()
    return json.loads((folder / "cost.json").read_text())["finetuning"]["tasks"]


@pytest.mark.slow
def test_finetuning_can_be_rehearsed(tmp_path, monkeypatch):
    tasks = rehearse_finetuning(monkeypatch, tmp_path)
    assert [task["task"] for task in tasks] == ["glue_sst2", "snli_sample"]
    for task in tasks:
        rows = {row["contender"]: row for row in task["rows"]}
        assert {finetuning.HUGGING_FACE, *METHODS, *peers.peers_here()} < set(rows)
        floor = rows[finetuning.HUGGING_FACE]["flops"]
        assert rows["standard"]["flops"] == floor
        # Passes in forward ones, where a backward pass counts two: 3 for the standard step. Attention's backward pass
        # works its scores out again, which is more than counted; so much in so small a model.
        for name, passes in {
            "alum": 8, "alum_one_pass": 6, "fgm": 6, "pgd": 12,
            finetuning.HALF_DEPTH: 5.5, finetuning.ONE_PASS_HALF_DEPTH: 4.5,
            "ALUM, Algorithm 1": 8, "FreeLB, K = 3": 9, "PGD, K = 3": 9,
        }.items():  # fmt: skip
            assert passes / 3 * 0.95 <= rows[name]["flops"] / floor <= passes / 3 * 1.1
        for row in rows.values():
            assert row["held_bytes"] == rows["standard"]["held_bytes"] < row["peak_bytes"]
        assert rows["standard"]["gain"] is None
        assert rows["r3f"]["gain"] == pytest.approx(1.0, rel=0.5)  # noise, compared with noise
        assert rows["alum_one_pass"]["gain"] > 2.0
        parts = rows["alum"]["seconds_by_part"]
        assert set(parts) == {"data", "clean", "adversary", "backward", "optimizer"}
        assert parts["adversary"] > parts["data"]
        assert sum(parts.values()) < 3 * rows["alum"]["seconds"]  # a mean with the first round, and a median
        assert 0 <= task["padding_share"] < 1
    monkeypatch.setattr(sys, "argv", ["", "--output_dir", str(tmp_path)])
    cost_page.main()
    page = (tmp_path / "cost.md").read_text()
    assert f"| alum_one_pass | {rows['alum_one_pass']['seconds']:.3f} |" in page
    ratio = rows["alum"]["seconds"] / rows["standard"]["seconds"]
    assert f"| snli_sample: time of alum / standard | ≤ 2.80 | {ratio:.2f} |" in page


def test_what_is_logged_now_and_then_costs_its_share():
    rows = [{"contender": "alum_one_pass", "seconds": 1.0}, {"contender": finetuning.LOGGED, "seconds": 2.0}]
    assert finetuning.logged_now_and_then(rows)["seconds"] == pytest.approx(1.02)  # 49 steps of 1 second, one of 2


def test_a_straight_line_is_found():
    line = growth.straight_line([1.0, 2.0, 3.0], [5.0, 7.0, 9.0])
    expected = {"slope": 2.0, "intercept": 3.0, "r_squared": 1.0, "median_deviation": 0.0}
    assert line == pytest.approx(expected, abs=1e-12)
    assert growth.straight_line([0.0, 1.0, 2.0], [1.0, 3.0, 2.0])["r_squared"] == pytest.approx(0.25)  # r = 1/2


def test_operations_are_those_of_the_passes():
    cell = growth.Cell("alum", batch_size=2, length_tokens=4, num_layers=1, num_steps=3, hidden_size=8)
    assert cell.passes == 12  # 3 clean, 3 times 2 to ascend, 3 adversarial
    # Of 8 tokens: 4 of 8 x 8, 2 of 8 x 32, 2 of 4 x 8; twice, for multiplication and addition.
    assert cell.flops_by_count == 12 * 2 * 8 * (256 + 512 + 64)
    assert growth.Cell("standard", num_steps=3).passes == 3


def test_growth_can_be_rehearsed_and_becomes_a_page(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["", "--rehearse", "--output_dir", str(tmp_path)])
    growth.main()
    rows = json.loads((tmp_path / "cost.json").read_text())["growth"]["rows"]
    assert [(row["size"], row[row["size"]], row["method"]) for row in rows[:4]] == [
        ("batch_size", 2, "standard"),
        ("batch_size", 2, "alum_one_pass"),
        ("batch_size", 2, "alum"),
        ("batch_size", 4, "standard"),
    ]
    for row in rows:  # the pooler and the head, one token of a sentence each, are not in the count
        assert 1.0 <= row["flops"] / row["flops_by_count"] <= 1.1
    monkeypatch.setattr(sys, "argv", ["", "--output_dir", str(tmp_path)])
    cost_page.main()
    assert (tmp_path / "cost.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "cost.md").read_text()
    assert f"| ascent steps K | 2 | alum | {rows[-1]['seconds']:.3f} |" in page


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, ("g++", "c++", "clang++"))), reason="no C++ compiler")
def test_compiled_steps_can_be_rehearsed(tmp_path, monkeypatch):
    torch.compiler.reset()
    monkeypatch.setattr(sys, "argv", ["", "--rehearse", "--output_dir", str(tmp_path)])
    compiled.main()
    (row,) = json.loads((tmp_path / "cost.json").read_text())["compiled"]["rows"]
    assert row["plain"]["ratio_of_medians"] == 1.0
    monkeypatch.setattr(sys, "argv", ["", "--output_dir", str(tmp_path)])
    cost_page.main()
    assert f"| alum | {row['plain']['seconds']:.3f} | {row['compiled']['seconds']:.3f} |" in (
        tmp_path / "cost.md"
    ).read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the settings are glibc's")
def test_two_processes_take_turns_with_their_own_settings(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["", "--rehearse", "--output_dir", str(tmp_path)])
    allocator.main()
    (row,) = json.loads((tmp_path / "cost.json").read_text())["allocator"]["rows"]
    for settings in ("usual", "keeping"):
        assert 0 < row[settings]["processor_seconds"] <= 2 * row[settings]["seconds"]
        assert row[settings]["resident_bytes"] > 100 * MEBIBYTE  # the libraries alone take more
    monkeypatch.setattr(sys, "argv", ["", "--output_dir", str(tmp_path)])
    cost_page.main()
    assert "| pre-training 1x32, alum_one_pass |" in (tmp_path / "cost.md").read_text()
