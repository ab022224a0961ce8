"""Training in several processes beside one, and what stands in the page about it."""

import json
import sys

import pytest
import torch

from alum.core.errors import InputError
from alum.core.methods import METHODS
from benchmarks.engines import __main__ as command
from benchmarks.engines import cell as cell_module
from benchmarks.engines.cell import ENGINES, ONE, Cell, cells, change_of_weights
from benchmarks.engines.page import PAGE, TOLERANCE, is_right, outcome, refusals, tables

COMMITTED = json.loads(PAGE.file.with_suffix(".json").read_text(encoding="utf-8"))
NOISY = ("noise", "alum_released", "freelb")  # far enough to be told from no noise


def test_the_page_has_every_cell():
    committed = [(each["engine"], Cell(each["method"], each["layer"], each["stage"])) for each in COMMITTED["cells"]]
    assert committed == [(engine, cell) for engine in ENGINES for cell in cells(engine)]


def test_every_committed_cell_agrees_with_one_process_or_is_refused():
    assert [each for each in COMMITTED["cells"] if not is_right(each) and "refused" not in each] == []


def test_refused_cells_are_those_that_one_process_refuses_and_averages_of_sharded_weights():
    alone = {
        (each["method"], each["layer"], each["stage"])
        for each in COMMITTED["cells"]
        if each["engine"] == ONE and "refused" in each
    }
    more = [
        each
        for each in COMMITTED["cells"]
        if "refused" in each and (each["method"], each["layer"], each["stage"]) not in alone
    ]
    assert {each["method"] for each in more} == {"smart"}
    assert {ENGINES[each["engine"]].wrapper for each in more} == {"FSDP2", "HSDP"}


@pytest.mark.parametrize("method", NOISY)
@pytest.mark.parametrize("stage", ["fine-tuning", "pre-training, masked"])
def test_other_noise_would_be_seen(method, stage, tmp_path, monkeypatch):
    cell = Cell(method, "word", stage)
    alone, by_loop = (change_of_weights(engine, cell, str(tmp_path)) for engine in (ONE, "loop"))
    assert command.relative_difference(by_loop, alone) < TOLERANCE
    monkeypatch.setattr(cell_module, "_SEED", 43)
    assert command.relative_difference(change_of_weights("loop", cell, str(tmp_path)), alone) > 10 * TOLERANCE


def test_what_is_refused_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="perturbs the output embeddings of tokens that a language model predicts"):
        change_of_weights("loop", Cell("adv_softmax", "word", "fine-tuning"), str(tmp_path))


def test_differences_are_shares_of_the_change():
    assert command.relative_difference(torch.tensor([3.0, 4.5]), torch.tensor([3.0, 4.0])) == 0.1
    assert command.relative_difference(torch.tensor([torch.nan]), torch.tensor([1.0])) == float("inf")


def record_of(**values):
    return {"engine": "loop", "method": "alum", "layer": 1, "stage": "fine-tuning", **values}


def test_a_table_has_a_row_for_each_method_and_a_column_for_each_engine():
    records = [
        record_of(difference=2e-4),
        record_of(method="pgd", difference=2e-4),
        record_of(engine="DDP ×2", method="pgd", refused="pgd is not for this. Choose another."),
        record_of(engine=ONE, difference=0.0),
    ]
    (table,) = tables(records).values()
    assert list(tables(records)) == ["Fine-tuning, at block 1"]
    assert table.splitlines() == [
        "|  | loop | DDP ×2 |",
        "| --- | --: | --: |",
        "| `alum` | 2e-04 |  |",
        "| `pgd` | 2e-04 * | refused |",
    ]
    assert refusals(records) == {"`pgd`: pgd is not for this": "DDP ×2"}
    assert outcome(records) == (
        "3 cells: 2 trained, 1 refused, 0 failed. 0 agree within 1e-05, 1 within their tolerance; "
        "the furthest is 2e-04 off."
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_command_can_be_rehearsed(tmp_path, monkeypatch):
    """Fine-tuning by every method in two processes, under DDP and FSDP2."""
    monkeypatch.setattr(sys, "argv", ["", "--rehearse", "--output_dir", str(tmp_path)])
    command.main()
    found = json.loads((tmp_path / "engines.json").read_text(encoding="utf-8"))["cells"]
    assert {each["method"] for each in found} == set(METHODS)
    assert {each["engine"] for each in found} == {ONE, "DDP ×2", "loop, FSDP2 ×2"}
    assert [each for each in found if not is_right(each) and "refused" not in each] == []
    assert "### Fine-tuning, at words" in (tmp_path / "engines.md").read_text(encoding="utf-8")
