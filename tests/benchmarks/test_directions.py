"""A rehearsal of the benchmark of directions, and its table."""

import json
import sys

import pytest
from transformers import BertForMaskedLM

from benchmarks import directions, directions_page
from benchmarks.trainings import bert_config
from tiny_stages import save_untrained
from tiny_texts import opinions, write_rows


def rehearse(monkeypatch, folder):
    model = save_untrained(folder / "model")  # for its tokenizer; this one takes longer texts
    vocab_size = BertForMaskedLM.from_pretrained(model).config.vocab_size
    BertForMaskedLM(bert_config(vocab_size, hidden_size=32, num_layers=2)).save_pretrained(model)
    labels = sorted({row["label"] for row in opinions(64)})
    sentences = [{"sentence": row["text"], "label": labels.index(row["label"])} for row in opinions(64)]
    texts = [row["sentence"] for row in sentences]
    tables = {
        "glue_sst2": sentences,
        "snli_sample": [{"premise": text, "hypothesis": "a film", "label": i % 3} for i, text in enumerate(texts)],
        "glue_qqp_sample": [{"question1": text, "question2": "a film", "label": i % 2} for i, text in enumerate(texts)],
    }
    for name, rows in tables.items():
        (folder / name).mkdir()
        write_rows(folder / name / "train.jsonl", rows)
    (folder / "corpora").mkdir()
    (folder / "corpora" / "brown.txt").write_text("\n".join(texts * 20))
    arguments = ["--rehearse", "--model", str(model), "--data", str(folder), "--output_dir", str(folder)]
    monkeypatch.setattr(sys, "argv", ["", *arguments])
    directions.main()
    return json.loads((folder / "directions.json").read_text())


@pytest.mark.slow
def test_directions_can_be_rehearsed(tmp_path, monkeypatch):
    record = rehearse(monkeypatch, tmp_path)
    assert len(record["tasks"]) == 5
    for task in record["tasks"]:
        found = {row["direction"]: row["divergence"] for row in task["rows"]}
        assert set(found) == set(directions.DIRECTIONS)
        for radius in map(str, directions.RADII):
            assert found["gradient at the most likely label"][radius] > found["noise"][radius] > 0
    assert "| noise |" in (tmp_path / "directions.md").read_text()


def test_the_largest_of_a_column_is_bold():
    rows = [("noise", {"0.03": 0.1, "0.1": 0.5}), ("gradient", {"0.03": 0.2, "0.1": 0.4})]
    record = {"tasks": [{"task": "t", "rows": [{"direction": name, "divergence": each} for name, each in rows]}]}
    table = directions_page.directions_table(record)
    assert table.splitlines()[0] == "|  | t, 0.03 | t, 0.1 |"
    assert table.splitlines()[2:] == ["| noise | 0.1 | **0.5** |", "| gradient | **0.2** | 0.4 |"]
