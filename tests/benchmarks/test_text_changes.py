"""A rehearsal of the benchmark of changed texts, and its table."""

import json
import sys

from benchmarks import text_changes
from small_wordnet import save_wordnet
from tiny_stages import save_untrained
from tiny_texts import opinions, write_rows


def test_the_cost_of_changes_can_be_rehearsed(tmp_path, monkeypatch):
    model = save_untrained(tmp_path / "model")
    (tmp_path / "glue_sst2").mkdir()
    rows = [{"sentence": " ".join(row["text"].split()[:8]), "label": 0} for row in opinions(64)]
    write_rows(tmp_path / "glue_sst2" / "train.jsonl", rows)
    wordnet = save_wordnet(tmp_path / "dict", noun=["film movie"])
    (tmp_path / "list.txt").write_text("film filme\ngood goood\nbad badd\n")
    flags = ["--model", model, "--data", tmp_path, "--wordnet_dir", wordnet, "--output_dir", tmp_path / "page"]
    flags += ["--misspellings", tmp_path / "list.txt"]
    monkeypatch.setattr(sys, "argv", ["", "--rehearse", *map(str, flags)])
    monkeypatch.setattr(text_changes, "LENGTH_TOKENS", 16)
    text_changes.main()
    record = json.loads((tmp_path / "page" / "text.json").read_text())
    assert [row["way"] for row in record["rows"]] == [way.name for way in text_changes.WAYS]
    assert all(row["making_seconds"] > 0 < row["step_seconds"] for row in record["rows"])
    page = (tmp_path / "page" / "text.md").read_text()
    assert "| homoglyphs |" in page
    assert "proposed words for 32 texts" in page


def test_shares_are_of_both():
    record = {"rows": [{"way": "typing", "making_seconds": 0.01, "step_seconds": 0.03}]}
    assert text_changes.cost_table(record).splitlines()[-1] == "| typing | 10.0 | 30 | 25.0 % |"
