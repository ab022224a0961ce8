"""A rehearsal of the benchmark of pre-training."""

import json
import sys

import pytest

from benchmarks import pretraining
from tiny_texts import write_text


@pytest.mark.slow
def test_pretraining_can_be_rehearsed(tmp_path, monkeypatch, capsys):
    text = write_text(tmp_path / "text.txt")
    monkeypatch.setattr(sys, "argv", ["", "--rehearse", "--text", str(text), "--output_dir", str(tmp_path / "out")])
    pretraining.main()
    record = json.loads((tmp_path / "out" / "pretraining.json").read_text())
    (size,) = record["sizes"]
    rows = {row["contender"]: row for row in size["rows"]}
    assert list(rows) == ["Hugging Face", "standard", "alum_one_pass", "alum"]
    # Multiplications and additions, of the forward pass and twice for the backward, of each token: query, key, value
    # and output, the two layers of 4 times the width, the head's two layers, scores and weighted sums over the row.
    hidden, length, vocabulary, num_tokens = 32, 128, 30522, 2 * 128
    of_token = 4 * hidden**2 + 2 * 4 * hidden**2 + hidden**2 + hidden * vocabulary + 2 * length * hidden
    assert rows["Hugging Face"]["flops"] == 3 * 2 * num_tokens * of_token
    assert rows["standard"]["flops"] < 0.4 * rows["Hugging Face"]["flops"]
    # Its logits, their logarithms and the gradients of both, of every token; ours are of the predicted ones.
    assert rows["Hugging Face"]["peak_bytes"] > rows["Hugging Face"]["held_bytes"] + 3 * 4 * num_tokens * vocabulary
    assert rows["standard"]["peak_bytes"] < rows["Hugging Face"]["peak_bytes"]
    for row in rows.values():
        assert 0 < row["seconds_first_quartile"] <= row["seconds"] <= row["seconds_third_quartile"]
        assert row["held_bytes"] == rows["standard"]["held_bytes"]
    assert rows["standard"]["gain"] is None
    assert rows["alum_one_pass"]["gain"] > 1.5
    assert capsys.readouterr().out.strip() == (tmp_path / "out" / "pretraining.md").read_text().strip()
