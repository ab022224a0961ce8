"""A rehearsal of the benchmark of data, and what it measures by."""

import json
import sys

import numpy as np
import pytest

from benchmarks import data_growth


@pytest.mark.slow
def test_growth_of_data_can_be_rehearsed(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["", "--rehearse", "--output_dir", str(tmp_path)])
    data_growth.main()
    rows = json.loads((tmp_path / "data.json").read_text())["rows"]
    assert [row["megabytes"] for row in rows] == [0.3, 0.6]
    first, second = (row["tokenised"] for row in rows)
    assert first["1"]["num_rows"] == first["2"]["num_rows"]
    assert second["1"]["num_rows"] == pytest.approx(2 * first["1"]["num_rows"], rel=0.05)
    assert all(each["peak_bytes"] >= each["bytes_before"] > 1e7 for each in first.values())
    assert rows[0]["streamed"]["seconds_to_go_on"] > 0
    assert "| 0.6 | 2 |" in (tmp_path / "data.md").read_text()


def test_text_has_the_size_that_was_asked_for(tmp_path):
    data_growth.write_text(tmp_path / "a.txt", 5e5)
    assert (tmp_path / "a.txt").stat().st_size == pytest.approx(5e5, rel=0.01)
    assert len(set((tmp_path / "a.txt").read_text().splitlines())) > 300


def holding(num_bytes):
    return {"sum": int(np.ones(num_bytes, dtype=np.uint8).repeat(2).sum())}


@pytest.mark.slow
def test_memory_is_that_of_the_process_that_works(monkeypatch):
    monkeypatch.setattr(data_growth, "SECONDS_BETWEEN_LOOKS", 0.001)
    found = data_growth.measured(holding, 100_000_000)
    assert 2e8 < found["peak_bytes"] - found["bytes_before"] < 4e8
