"""Named tasks in a study, with and without a suite of their name, and further suites that models are measured on."""

from statistics import fmean

import pytest
import yaml

from alum.cli.main import main
from tiny_stages import log_lines, record, save_untrained
from tiny_texts import opinions, write_rows

pytestmark = pytest.mark.slow
LABELS = {"good": 1, "bad": 0}


def rows_of(count, seed, *columns):
    return [
        {**dict.fromkeys(columns, row["text"]), "label": LABELS[row["label"]]} for row in opinions(count, seed=seed)
    ]


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_untrained(tmp_path / "model")
    for task, columns in (("sst2", ["sentence"]), ("scitail", ["premise", "hypothesis"])):
        (tmp_path / task).mkdir()
        for seed, split in enumerate(("train", "validation", "test")):
            write_rows(tmp_path / task / f"{split}.jsonl", rows_of(12, seed, *columns))
    write_rows(tmp_path / "reviews.jsonl", rows_of(9, 5, "text"))
    study = {
        "base": {"model_name_or_path": "model", "num_train_epochs": 1, "use_cpu": True, "max_seq_length": 16},
        "tasks": {
            "sst2": {"task": "sst2", "data_dir": "sst2", "suites": {"customer_reviews": "reviews.jsonl"}},
            "scitail": {"task": "scitail", "data_dir": "scitail"},
        },
        "arms": {"r_drop": {}},
        "seeds": [0],
        "evaluation": {"attacks": ["typing"]},
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    assert main(["study", "study.yaml", "--output_dir", "out"]) == 0
    return record("out/results.json")


def test_named_tasks_are_measured_and_further_suites_are_tasks_of_the_page(results, tmp_path):
    further = "sst2 → customer_reviews"
    assert results["tasks"] == ["sst2", further, "scitail"]
    assert results["num_cells"] == 4
    found = {(score["task"], score["attack"], score["metric"]): score for score in results["scores"]}
    assert {attack for task, attack, _ in found if task == further} == {None}  # only a task's own rows are attacked
    assert {attack for task, attack, _ in found if task == "scitail"} == {None, "typing"}
    for cell in (tmp_path / "out/cells").glob("*/measured/rows/model/customer_reviews/clean.jsonl"):
        rows = log_lines(cell)
        assert len(rows) == 9
        values = [
            score["value"] for score in results["scores"] if (score["task"], score["metric"]) == (further, "accuracy")
        ]
        assert fmean(row["scores"]["accuracy"] for row in rows) in values
    costs = {(cost["task"], cost["arm"]): cost["flops"] for cost in results["costs"]}
    assert costs["sst2", "r_drop"] == costs[further, "r_drop"]


def test_the_rows_of_a_further_suite_are_kept(results, tmp_path, capsys):
    (tmp_path / "reviews.jsonl").unlink()
    assert main(["study", "study.yaml", "--output_dir", "out"]) == 0
    assert record("out/results.json") == results
    write_rows(tmp_path / "reviews.jsonl", rows_of(9, 6, "text"))
    assert main(["study", "study.yaml", "--output_dir", "out"]) == 2
    assert "the rows of task sst2 are not those" in capsys.readouterr().err
