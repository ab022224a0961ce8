"""What growth is fitted against, and a rehearsal."""

import json
import sys

import pytest

from benchmarks import (
    cost_page,
    growth,
)


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


@pytest.mark.slow
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
    cost_page.PAGE.command(None)
    assert (tmp_path / "cost.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "cost.md").read_text()
    assert f"| ascent steps K | 2 | alum | {rows[-1]['seconds']:.3f} |" in page
