"""Every method on every kind of task beside the same step in plain PyTorch, and what stands in the page about it."""

import dataclasses
import gc
import itertools
import json
import sys

import pytest
import torch

from alum.core.method_settings import Method
from alum.core.methods import METHODS
from benchmarks.cells import __main__ as command
from benchmarks.cells import worker
from benchmarks.cells.cell import ENGINES, PRECISIONS, ROWS, Cell, cells, measured, rehearsed, step_of_alum
from benchmarks.cells.page import PAGE, differences_table, exceeding, how_far_off, is_right, refusals_table
from benchmarks.cells.plain_step import KINDS, MicroBatch, plain_step
from benchmarks.cells.refusals import refusals
from benchmarks.cells.subjects import model_for, rows_for

gc.freeze()  # the Trainer collects garbage after training: looking through all imported modules took longer than that
COMMITTED = json.loads(PAGE.file.with_suffix(".json").read_text(encoding="utf-8"))


def batch_of(kind):
    return {name: torch.stack([row[name] for row in rows_for(kind)]) for name in rows_for(kind)[0]}


def refused_in_page(engine):
    return {worker.cell_of(cell) for cell in COMMITTED["cells"] if cell["engine"] == engine and "refused" in cell}


def is_warned_of(record):
    """In bf16, since what it ascends is rounding there; SMART's δ in fp32 too, at a divergence of 1e-9."""
    row = METHODS.get(record["method"])
    if record["method"] == "smart" and record["precision"] == "fp32":
        return record["difference"] < 1e-4
    return record["precision"] != "fp32" and row is not None and row.ascent == "divergence" and row.num_steps > 0


# -- the steps ---------------------------------------------------------------------------------------------------------


@pytest.mark.quick_cases(40)
@pytest.mark.parametrize(("method", "kind"), list(itertools.product(ROWS, KINDS)))
def test_a_step_is_the_one_in_plain_pytorch(method, kind, tmp_path):
    record = measured(Cell("plain", method, kind, "fp32"), str(tmp_path))
    row = METHODS.get(method)
    if row is not None and row.is_for_language_models and not kind.endswith("_lm"):
        assert "a model of kind" in record["refused"]
        return
    assert record["difference"] < 1e-4
    # SMART's δ has the direction of D's gradient where D is 1e-9, which is in part rounding.
    of_delta, of_divergence = (0.02, 0.005) if method == "smart" else (1e-4, 1e-3)
    assert record["delta_difference"] < of_delta
    assert record["divergence_ratio"] in (None, pytest.approx(1, rel=of_divergence))


@pytest.mark.parametrize("kind", KINDS)
def test_the_plain_task_loss_is_that_of_the_model(kind):
    inputs, plain, own = batch_of(kind), model_for(kind), model_for(kind)
    plain_step(plain, kind, METHODS["standard"], [MicroBatch(inputs)])
    own(**inputs).loss.backward()
    for ours, theirs in zip(plain.parameters(), own.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_a_setting_that_is_not_written_out_is_not_passed_over():
    row = dataclasses.make_dataclass("Row", [("shape", str, "round")], bases=(Method,), frozen=True)
    batch = MicroBatch(batch_of("regression"))
    plain_step(model_for("regression"), "regression", row("usual", "here"), [batch])
    with pytest.raises(NotImplementedError, match="shape of method 'other' is not written out"):
        plain_step(model_for("regression"), "regression", row("other", "here", shape="square"), [batch])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "regression"])
def test_the_models_find_the_same_outputs_most_likely_in_bfloat16(kind):
    inputs, model = batch_of(kind), model_for(kind)
    with torch.no_grad():
        exact = KINDS[kind](model(**inputs), inputs).compared
        rounded = KINDS[kind](model.to(torch.bfloat16)(**inputs), inputs).compared
    assert torch.equal(exact.argmax(-1), rounded.argmax(-1))


# -- the command -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_command_can_be_rehearsed(tmp_path, monkeypatch):
    """In every way to train, with each method, kind and precision."""
    monkeypatch.setattr(sys, "argv", ["", "--rehearse", "--output_dir", str(tmp_path)])
    command.main()
    found = json.loads((tmp_path / "cells.json").read_text(encoding="utf-8"))["cells"]
    for axis, values in (("engine", ENGINES), ("method", ROWS), ("kind", KINDS), ("precision", PRECISIONS)):
        assert {cell[axis] for cell in found} == set(values)
    refused = {cell["engine"] for cell in found if "refused" in cell and cell["method"] != "adv_softmax"}
    assert refused <= {"checkpointing", "re-entrant checkpointing"}
    wrong = [cell for cell in found if "refused" not in cell and not is_right(cell) and not is_warned_of(cell)]
    assert wrong == []
    assert "### Two processes" in (tmp_path / "cells.md").read_text(encoding="utf-8")
    assert not (tmp_path / "cells.jsonl").exists()


def test_cells_that_are_known_are_not_measured_again(tmp_path, monkeypatch):
    file, missing = tmp_path / "cells.jsonl", []
    first, second = ({**vars(cell), "difference": 0.0} for cell in rehearsed("plain")[:2])
    file.write_text(json.dumps(first) + "\n" + json.dumps(second)[:-9], encoding="utf-8")
    worker.drop_cut_line(file)
    assert worker.records_in(file) == [first]
    monkeypatch.setattr(worker, "measure", lambda wanted, _: missing.extend(wanted))
    monkeypatch.setattr(sys, "argv", ["", str(file), "plain", "--rehearse"])
    monkeypatch.setattr(worker.logging, "disable", lambda level: None)
    worker.main()
    assert missing == rehearsed("plain")[1:]


def test_an_error_that_is_no_refusal_is_a_failed_cell(tmp_path, monkeypatch):
    def broken(cell, folder):
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(worker, "measured", broken)
    (cell,) = rehearsed("plain")[:1]
    worker.measure([cell], tmp_path / "cells.jsonl")
    assert worker.records_in(tmp_path / "cells.jsonl") == [{**vars(cell), "failed": "RuntimeError: no such kernel"}]


# -- the page ----------------------------------------------------------------------------------------------------------


def test_the_page_has_every_cell():
    assert {worker.cell_of(cell) for cell in COMMITTED["cells"]} == {c for engine in ENGINES for c in cells(engine)}


def test_no_committed_cell_failed_or_is_off_without_a_warning():
    off = [cell for cell in COMMITTED["cells"] if "refused" not in cell and ("failed" in cell or not is_right(cell))]
    assert [cell for cell in off if "failed" in cell or not is_warned_of(cell)] == []


def test_refused_settings_of_the_page_are_those_that_the_code_refuses():
    assert COMMITTED["refusals"] == refusals()


def is_refused(cell, folder):
    try:
        step_of_alum(cell, folder)
    except ValueError:
        return True
    return False


def in_fp32(engine):
    return {cell for cell in refused_in_page(engine) if cell.precision == "fp32"}


def test_refused_plain_cells_of_the_page_are_those_of_methods_for_language_models():
    """Which the steps above are refused with, and no other."""
    of_language_models = {name for name, row in METHODS.items() if row.is_for_language_models}
    assert in_fp32("plain") == {
        cell
        for cell in cells("plain")
        if cell.precision == "fp32" and cell.method in of_language_models and not cell.kind.endswith("_lm")
    }


@pytest.mark.parametrize("engine", ["accumulation", "checkpointing", "re-entrant checkpointing"])
def test_refused_cells_of_the_page_are_those_that_the_code_refuses(engine, tmp_path):
    """All that are refused, and of each method a kind more, which take turns."""
    committed, turns = in_fp32(engine), set(zip(ROWS, itertools.cycle(KINDS), strict=False))
    looked_at = {
        cell
        for cell in cells(engine)
        if cell in committed or (cell.precision == "fp32" and (cell.method, cell.kind) in turns)
    }
    assert {cell for cell in looked_at if is_refused(cell, str(tmp_path))} == committed


def test_precision_changes_nothing_about_a_refusal():
    for engine in ENGINES:
        by_precision = [
            {(cell.method, cell.kind) for cell in refused_in_page(engine) if cell.precision == precision}
            for precision in PRECISIONS
        ]
        assert by_precision[1:] == by_precision[:1] * 2


def record_of(precision="fp32", **values):
    cell = {"engine": "plain", "method": "alum", "kind": "masked_lm", "precision": precision}
    return {**cell, "difference": 1e-6, "delta_difference": 2e-6, "rounding": 0.0, "divergence_ratio": 1.0, **values}


def test_a_table_has_the_larger_difference_of_each_precision():
    rows = [record_of(), record_of("bf16 autocast", difference=0.004), record_of("pure bf16", difference=0.02)]
    assert differences_table(rows).splitlines()[2] == "| `alum` | 2e-06, 2.0% |"
    assert how_far_off(rows[0]) == 2e-6


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"difference": 2e-4}, "gradients or δ"),
        ({"delta_difference": 2e-4}, "gradients or δ"),
        ({"divergence_ratio": 1.2}, "divergence at δ, which training warns of"),
        ({"divergence_ratio": 0.8, "method": "pgd"}, "divergence at δ"),
    ],
)
def test_what_is_beyond_a_tolerance_is_marked_and_listed(values, what):
    record = record_of(**values)
    assert differences_table([record]).splitlines()[2].endswith(" * |")
    assert list(exceeding([record])) == [f"`{record['method']}`, fp32: {what}"]


def test_methods_that_are_refused_for_one_reason_share_a_row():
    refused = {name: f"the way of method '{name}' is closed. Choose another." for name in ("fgm", "pgd")}
    table = refusals_table([{"settings": "a wall", "refused": refused}])
    assert table.splitlines()[2:] == ["| a wall | `fgm`, `pgd` | the way of the method is closed |"]
