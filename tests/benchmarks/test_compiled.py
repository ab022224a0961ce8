"""A rehearsal of the benchmark of compiled steps."""

import json
import shutil
import sys

import pytest
import torch

from benchmarks import (
    compiled,
    cost_page,
)


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, ("g++", "c++", "clang++"))), reason="no C++ compiler")
def test_compiled_steps_can_be_rehearsed(tmp_path, monkeypatch):
    torch.compiler.reset()
    monkeypatch.setattr(sys, "argv", ["", "--rehearse", "--output_dir", str(tmp_path)])
    compiled.main()
    (row,) = json.loads((tmp_path / "cost.json").read_text())["compiled"]["rows"]
    assert row["plain"]["ratio_of_medians"] == 1.0
    monkeypatch.setattr(sys, "argv", ["", "--output_dir", str(tmp_path)])
    cost_page.PAGE.command(None)
    assert f"| alum | {row['plain']['seconds']:.3f} | {row['compiled']['seconds']:.3f} |" in (
        tmp_path / "cost.md"
    ).read_text(encoding="utf-8")
