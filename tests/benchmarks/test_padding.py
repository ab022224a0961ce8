"""A rehearsal of the benchmark of padding, and its page."""

import json
import sys

from benchmarks import padding
from tiny_stages import save_untrained
from tiny_texts import opinions, write_rows


def test_padding_can_be_rehearsed(tmp_path, monkeypatch):
    model = save_untrained(tmp_path / "model")
    (tmp_path / "glue_sst2").mkdir()
    rows = [
        {"sentence": row["text"].split()[0] if number % 2 else row["text"], "label": 0}
        for number, row in enumerate(opinions(64))
    ]
    write_rows(tmp_path / "glue_sst2" / "train.jsonl", rows)
    arguments = ["--rehearse", "--model", str(model), "--data", str(tmp_path), "--output_dir", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["", *arguments])
    padding.main()
    (case,) = json.loads((tmp_path / "padding.json").read_text())["cases"]
    assert 0 < case["padding"] < 0.6
    assert case["flops"] < 1
    assert "| glue_sst2 | by chance | standard |" in (tmp_path / "padding.md").read_text()
