"""A rehearsal of the benchmark of fine-tuning."""

import json
import sys

import pytest

from benchmarks import (
    cost_page,
    finetuning,
    peers,
)
from tiny_runs import FOR_ANY_MODEL
from tiny_stages import save_untrained
from tiny_texts import opinions, write_rows


def rehearse_finetuning(monkeypatch, folder):
    tokenizer = save_untrained(folder / "model")
    sentences = [{"sentence": row["text"], "label": row["label"]} for row in opinions(64)]
    names = [row["label"] for row in sentences]
    classes = sorted(set(names))
    sentences = [{**row, "label": classes.index(row["label"])} for row in sentences]
    pairs = [
        {"premise": row["sentence"], "hypothesis": "a film", "label": index % 3} for index, row in enumerate(sentences)
    ]
    for name, rows in (("glue_sst2", sentences), ("snli_sample", pairs)):
        (folder / name).mkdir()
        write_rows(folder / name / "train.jsonl", rows)
    arguments = ["--rehearse", "--tokenizer", str(tokenizer), "--data", str(folder), "--output_dir", str(folder)]
    monkeypatch.setattr(sys, "argv", ["", *arguments])
    finetuning.main()
    return json.loads((folder / "cost.json").read_text())["finetuning"]["tasks"]


@pytest.mark.slow
def test_finetuning_can_be_rehearsed(tmp_path, monkeypatch):
    tasks = rehearse_finetuning(monkeypatch, tmp_path)
    assert [task["task"] for task in tasks] == ["glue_sst2", "snli_sample"]
    for task in tasks:
        rows = {row["contender"]: row for row in task["rows"]}
        assert {finetuning.HUGGING_FACE, *FOR_ANY_MODEL, *peers.peers_here()} < set(rows)
        floor = rows[finetuning.HUGGING_FACE]["flops"]
        assert rows["standard"]["flops"] == floor
        # Passes in forward ones, where a backward pass counts two: 3 for the standard step. Attention's backward pass
        # works its scores out again, which is more than counted; so much in so small a model.
        for name, passes in {
            "alum": 8, "alum_one_pass": 6, "alum_virtual": 7, "fgm": 6, "pgd": 12,
            finetuning.VIRTUAL_ONE_GRAPH: 8, finetuning.VIRTUAL_CONSTANT: 7,
            finetuning.HALF_DEPTH: 5.5, finetuning.ONE_PASS_HALF_DEPTH: 4.5,
            "ALUM, Algorithm 1": 8, "FreeLB, K = 3": 9, "PGD, K = 3": 9,
        }.items():  # fmt: skip
            assert passes / 3 * 0.95 <= rows[name]["flops"] / floor <= passes / 3 * 1.1
        for row in rows.values():
            assert row["held_bytes"] == rows["standard"]["held_bytes"] < row["peak_bytes"]
        assert rows["standard"]["gain"] is None
        assert rows["noise"]["gain"] == pytest.approx(1.0, rel=0.5)  # noise, compared with noise
        assert rows["alum_one_pass"]["gain"] > 2.0
        parts = rows["alum"]["seconds_by_part"]
        assert set(parts) == {"data", "clean", "adversary", "backward", "optimizer"}
        assert parts["adversary"] > parts["data"]
        assert sum(parts.values()) < 3 * rows["alum"]["seconds"]  # a mean with the first round, and a median
        assert 0 <= task["padding_share"] < 1
    monkeypatch.setattr(sys, "argv", ["", "--output_dir", str(tmp_path)])
    cost_page.PAGE.command(None)
    page = (tmp_path / "cost.md").read_text()
    assert f"| alum_one_pass | {rows['alum_one_pass']['seconds']:.3f} |" in page
    ratio = rows["alum"]["seconds"] / rows["standard"]["seconds"]
    assert f"| snli_sample: time of alum / standard | ≤ 2.80 | {ratio:.2f} |" in page


def test_what_is_logged_now_and_then_costs_its_share():
    rows = [{"contender": "alum_one_pass", "seconds": 1.0}, {"contender": finetuning.LOGGED, "seconds": 2.0}]
    assert finetuning.logged_now_and_then(rows)["seconds"] == pytest.approx(1.02)  # 49 steps of 1 second, one of 2
