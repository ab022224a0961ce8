"""Rehearsals on the CPU of what is measured on a GPU, and the page about it."""

import dataclasses
import json
import sys
import warnings
from types import SimpleNamespace

import pytest
import torch
from transformers import BertForMaskedLM

from alum.core.methods import METHODS
from alum.training.step import AlumStep
from benchmarks.directions import Subject
from benchmarks.gpu import cost, half_precision, identities, page
from benchmarks.gpu.lines import Lines, record_in
from benchmarks.gpu.precision import EPSILON, Backward, gradient_of, perturbs_input, settings_of, steps_in
from benchmarks.trainings import bert_config
from tiny_models import classifier, token_batch
from tiny_stages import save_untrained
from tiny_texts import opinions, write_rows

CPU = torch.device("cpu")


def rehearse(monkeypatch, module, *arguments):
    monkeypatch.setattr(sys, "argv", ["", "--rehearse", "--device", "cpu", "--seconds", "3600", *map(str, arguments)])
    module.main()


def cells_of(record, part):
    return [cell for cell in record["cells"] if cell["part"] == part]


def labelled():
    return {**token_batch(), "labels": torch.tensor([0, 1])}


# -- half precision ----------------------------------------------------------------------------------------------------


@pytest.fixture
def sources(tmp_path):
    """Flags that name a tiny model, and rows and text of its own."""
    model = save_untrained(tmp_path / "model")  # for its tokenizer; this one takes longer texts
    vocab_size = BertForMaskedLM.from_pretrained(model).config.vocab_size
    BertForMaskedLM(bert_config(vocab_size, hidden_size=32, num_layers=1)).save_pretrained(model)
    rows = [{"sentence": row["text"], "label": index % 2} for index, row in enumerate(opinions(64))]
    (tmp_path / "glue_sst2").mkdir()
    write_rows(tmp_path / "glue_sst2" / "train.jsonl", rows)
    (tmp_path / "some.txt").write_text("\n".join(row["sentence"] for row in rows * 10))
    return ["--model", model, "--data", tmp_path, "--text", tmp_path / "some.txt"]


@pytest.mark.slow
def test_half_precision_can_be_rehearsed(sources, tmp_path, monkeypatch):
    some = {name: METHODS[name] for name in ("standard", "alum_virtual", "adv_softmax")}
    monkeypatch.setattr(half_precision, "METHODS", some)
    monkeypatch.setattr(half_precision, "PRECISIONS", ("fp32", "bf16 autocast"))  # fp16 takes seconds on a CPU
    rehearse(monkeypatch, half_precision, *sources, "--output_dir", tmp_path)
    record = record_in(tmp_path / half_precision.FILE_NAME)
    assert not [cell for cell in record["cells"] if "failed" in cell]
    precisions = cells_of(record, "precision")
    assert len(precisions) == 2 * (2 + 3)
    for cell in precisions:
        assert cell["finite"]
        assert cell["cosine"] == pytest.approx(1, abs=1e-9 if cell["precision"] == "fp32" else 1e-3)
        assert (cell["gain"] is None) == (cell["method"] != "alum_virtual")
    for cell in cells_of(record, "without delta"):
        assert (cell["divergence"] > 1e-9) == (cell["step"] == "r_drop")
    assert [
        (cell["identical_shared"], cell["identical_independent"]) for cell in cells_of(record, "repeated pass")
    ] == [(True, False)] * 8
    assert [cell["difference"] for cell in cells_of(record, "beside cpu")] == [0] * 10  # a CPU beside itself
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path), "--output_dir", str(tmp_path)])
    page.main()
    text = (tmp_path / "gpu.md").read_text()
    assert "causal lm, eager, bf16 autocast | 0e+00" in text
    assert "Not measured." in text.split("## Cost")[1]  # the other half of the page


def test_weights_that_went_elsewhere_are_far_from_the_cpus(monkeypatch):
    torch.manual_seed(0)
    subject = Subject("classification", classifier(), [labelled()], 1e-2)
    trained, learning_rates = identities._trained, [2e-2, 1e-2]

    def at_another_rate(subject, *others):
        return trained(dataclasses.replace(subject, learning_rate=learning_rates.pop(0)), *others)

    monkeypatch.setattr(identities, "_trained", at_another_rate)
    # AdamW's steps are as long as the learning rate: twice it goes twice as far.
    assert identities.beside_cpu(subject, "standard", 1)["difference"] == pytest.approx(1, rel=0.02)


def test_gradients_in_fp16_are_those_in_fp32():
    subject = Subject("classification", classifier(), [labelled()], 1e-4)
    exact, half = (steps_in(subject, "alum_virtual", precision, 2) for precision in ("fp32", "fp16 autocast"))
    assert half.scale == 2**16
    assert half.cosine(exact) > 0.999
    assert half.figures()["gradient_norm"] == pytest.approx(exact.figures()["gradient_norm"], rel=0.01)
    assert half.figures()["divergence"] == pytest.approx(exact.figures()["divergence"], rel=0.1)


def test_the_loss_scale_is_halved_until_gradients_are_finite():
    weight = torch.nn.Parameter(torch.ones(1))
    backward = Backward(CPU, "fp16 autocast")
    while True:
        weight.grad = None
        backward((1e36 * weight).sum())
        if weight.grad.isfinite().all() or not backward.halves_scale():
            break
    assert backward.scale == 256  # the largest power of two below 3.4e38 / 1e36
    assert backward.num_overflows == 8
    torch.testing.assert_close(weight.grad / backward.scale, torch.tensor([1e36]))
    assert not Backward(CPU, "bf16 autocast").halves_scale()


# The radius of fgm is that of the whole sequence.
@pytest.mark.parametrize("method", [name for name, row in METHODS.items() if perturbs_input(row) and name != "fgm"])
def test_perturbations_of_all_methods_are_as_long(method):
    torch.manual_seed(0)
    step = AlumStep(classifier().eval(), method, **settings_of(METHODS[method]))
    found = step(labelled(), num_gain_draws=1).diagnostics
    assert float(found.perturbation_ratio) == pytest.approx(EPSILON, rel=0.02)


def test_weights_without_a_gradient_count_as_zeros():
    model = torch.nn.Linear(2, 1)
    model.weight.grad = torch.tensor([[1.0, 2.0]])
    assert gradient_of(model).tolist() == [1, 2, 0]


# -- cost --------------------------------------------------------------------------------------------------------------


def test_cost_can_be_rehearsed(tmp_path, monkeypatch):
    monkeypatch.setattr(cost, "CONTENDERS", {"alum_one_pass": cost.CONTENDERS["alum_one_pass"]})
    rehearse(monkeypatch, cost, "--output_dir", tmp_path)
    record = record_in(tmp_path / cost.FILE_NAME)
    assert not [cell for cell in record["cells"] if "failed" in cell]
    operations = {(cell["task"], cell["contender"]): cell["flops"] for cell in cells_of(record, "operations")}
    assert operations["classifier", "alum_one_pass"] == 2 * operations["classifier", "Hugging Face"]
    times = cells_of(record, "time")
    assert [cell["median_of_ratios"] == 1 for cell in times] == [True, False] * 2
    assert times[0]["tokens_per_second"] == pytest.approx(4 * 8 / times[0]["seconds"])
    table = page.parts({"cost": record})["cost"]
    assert "### Classifier: 0 million parameters, 4 × 8 tokens" in table
    assert "| alum_one_pass |" in table


def test_a_contender_that_fails_leaves_the_turns(tmp_path):
    class Training:
        def __init__(self, steps_until_it_fails=1000):
            self.steps_left = steps_until_it_fails

        def step(self):
            self.steps_left -= 1
            if self.steps_left < 0:
                raise torch.OutOfMemoryError("no more")

    trainings = {cost.HUGGING_FACE: Training(), "alum": Training(2), "fgm": Training()}
    contest = SimpleNamespace(task="classifier", device=CPU, trainings=trainings, tokens_per_step=8)
    lines = Lines(tmp_path / "lines", 10, {})
    found = list(cost.in_turns(contest, 0, lines))
    assert [line["contender"] for line in found] == [cost.HUGGING_FACE, "fgm"]
    (failed,) = record_in(tmp_path / "lines")["cells"]
    assert failed["contender"] == "alum"
    assert failed["failed"] == "OutOfMemoryError: no more"


def test_what_waits_for_the_gpu_is_counted_by_place(monkeypatch):
    modes = []
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    with cost.Waits() as waits:
        for _ in range(3):
            warnings.warn("called a synchronizing CUDA operation (Triggered internally …)", stacklevel=1)
        warnings.warn("something else", stacklevel=1)
    ((place, times),) = waits.places.items()
    assert times == 3
    assert place.startswith("tests/benchmarks/test_gpu.py:")
    assert modes == ["warn", "default"]


# -- lines -------------------------------------------------------------------------------------------------------------


def test_a_cell_that_fails_or_has_no_time_does_not_end_the_others(tmp_path):
    file = tmp_path / "new" / "lines"
    lines = Lines(file, 100, {"device": "cpu"})
    assert lines.measure({"part": "a"}, lambda: {"figure": float("nan")}) is not None
    assert lines.measure({"part": "b"}, lambda: {"figure": 1 / 0}) is None
    lines._seconds = 0
    assert lines.measure({"part": "c"}, lambda: {"figure": 2}) is None
    with file.open("a") as opened:
        opened.write('{"part": "cut sh')
    record = record_in(file)
    first, second, third = record["cells"]
    assert (record["device"], record["minutes"]) == ("cpu", None)
    assert first["figure"] is None
    assert second["failed"] == "ZeroDivisionError: division by zero"
    assert "test_gpu.py" in second["at"]
    assert third == {"part": "c", "left_out": True}
    assert page.failures(record["cells"]).splitlines()[1] == "- 1 cells were left out for want of time."


def test_a_run_that_ended_says_how_long_it_took(tmp_path):
    lines = Lines(tmp_path / "lines", 100, {})
    lines.close()
    assert 0 < record_in(tmp_path / "lines")["minutes"] < 1
    assert record_in(tmp_path / "missing") is None


# -- the page ----------------------------------------------------------------------------------------------------------


def precision_cell(method, precision, **figures):
    usual = {"divergence": 1e-3, "gain": 20.0, "cosine": 0.999, "finite": True, "skipped": 0.0, "num_overflows": 0}
    return {"part": "precision", "task": "classification", "method": method, "precision": precision, **usual, **figures}


def test_what_is_beyond_a_limit_has_an_asterisk():
    cells = [
        precision_cell("alum", "fp32"),
        precision_cell("alum", "bf16 autocast", divergence=1.2e-3, gain=21.0),
        precision_cell("alum", "fp16 autocast", cosine=0.98, skipped=0.25, num_overflows=2),
        precision_cell("r_drop", "fp32", divergence=None, gain=None),
        precision_cell("r_drop", "bf16 autocast", divergence=None, gain=None),
    ]
    alum, r_drop = page.methods_tables(cells).splitlines()[4:]
    assert alum == "| `alum` | 0.001 | 0.0012 * | 0.001 | 20 | 21 | 20 | 0.9990 | 0.9800 * |"
    assert r_drop == "| `r_drop` | – | – | – | – | – | – | 0.9990 | – |"
    text = page.outcome(cells)
    assert "1 of 2 divergences and 2 of 2 gains" in text
    assert "2 of 3 cosines are 0.99 or more, the least 0.9800" in text
    assert "left out as not finite is 25%; the loss scale was halved 2 times" in text


def cost_record():
    def contender(name, seconds, peak, flops):
        quartiles = {"seconds_first_quartile": seconds, "seconds_third_quartile": 2 * seconds}
        place = {"core/objective.py:121": 2} if name == "alum" else {}
        return [
            {"part": "work", "contender": name, "predicted_ratio": 2.0, "peak_bytes": peak, "synchronisations": 5,
             "synchronisations_at": {"transformers/trainer.py:7": 1, **place}},
            {"part": "time", "contender": name, "seconds": seconds, "median_of_ratios": seconds / 0.05,
             "tokens_per_second": 1 / seconds, **quartiles},
            {"part": "operations", "contender": name, "flops": flops},
        ]  # fmt: skip

    rows = [
        {"part": "model", "num_parameters": 110e6},
        *contender(cost.HUGGING_FACE, 0.05, 5e9, 9.89e12),
        *contender("alum", 0.1, 7.5e9, 29.67e12),
        {"part": "work", "contender": "fgm", "failed": "OutOfMemoryError: no more", "at": "cost.py:1"},
    ]
    machine = {"gpu": "NVIDIA H100 80GB HBM3", "platform": "Linux", "python": "3.12", "torch": "2.11"}
    return {
        "date": "2026-01-01", "minutes": 1.04, "device": "cuda", "shape": {"classifier": [32, 128]},
        "environment": {**machine, "transformers": "5", "alum": "1"},
        "cells": [{"task": "classifier", **row} for row in rows],
    }  # fmt: skip


def test_cost_stands_beside_that_of_hugging_face():
    lines = page.cost_tables(cost_record()).splitlines()
    assert lines[0] == "### Classifier: 110 million parameters, 32 × 128 tokens"
    # 9.89e12 operations in 0.05 s are 197.8 TFLOP/s, a fifth of 989; 29.67e12 in 0.1 s are three tenths.
    assert lines[4:] == [
        "| Hugging Face | 50.0 | 50.0 to 100.0 | 1.00 | 2.00 | 20 | 5.00 | 1.00 | 9.89 | 20% | 5 |",
        "| alum | 100.0 | 100.0 to 200.0 | 2.00 | 2.00 | 10 | 7.50 | 1.50 | 29.67 | 30% | 5 |",
    ]


def test_the_committed_page_has_a_place_for_every_part():
    text = page.PAGE.text({"cost": cost_record()})
    assert "`make bench-gpu`, 2026-01-01, on NVIDIA H100 80GB HBM3, Linux, Python 3.12; torch 2.11" in text
    assert "| `transformers/trainer.py:7` | 1 × classifier: Hugging Face, alum |" in text
    assert "| `core/objective.py:121` | 2 × classifier: alum |" in text
    assert "- work, fgm: OutOfMemoryError: no more (cost.py:1)" in text.replace("classifier, ", "")


def test_a_gpu_of_unknown_speed_has_no_utilisation():
    assert page.peak_flops("NVIDIA A100") is page.peak_flops(None) is None
    assert page.peak_flops("NVIDIA H200") == 989e12


def test_a_run_of_one_half_leaves_the_other_of_the_record(tmp_path, monkeypatch):
    (tmp_path / "gpu.json").write_text(json.dumps({"cost": cost_record()}))
    Lines(tmp_path / half_precision.FILE_NAME, 1, {"device": "cpu"}).close()
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path), "--output_dir", str(tmp_path)])
    page.main()
    record = json.loads((tmp_path / "gpu.json").read_text())
    assert record["cost"] == json.loads(json.dumps(cost_record()))
    assert record["half_precision"]["cells"] == []
