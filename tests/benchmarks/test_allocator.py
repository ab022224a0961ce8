"""A rehearsal of the benchmark of memory that is kept."""

import json
import platform
import sys

import pytest

from benchmarks import (
    allocator,
    cost_page,
)

MEBIBYTE = 1 << 20


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
    cost_page.PAGE.command(None)
    assert "| pre-training 1x32, alum_one_pass |" in (tmp_path / "cost.md").read_text()
