"""Whole studies that pre-train tiny models: stopped and gone on with, added to, and merged from halves."""

import re
import shutil
from pathlib import Path
from statistics import fmean

import pytest
import yaml

from alum.cli.main import main
from places import ROOT
from tiny_stages import log_lines, record
from tiny_texts import opinions, write_rows, write_text

pytestmark = pytest.mark.slow

EXAMPLES = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/study.md").read_text(encoding="utf-8"), re.DOTALL)
TWO_STAGES, ALONE = (yaml.safe_load(text) for text in EXAMPLES[1:3])
TINY = {"max_seq_length": 16, "vocab_size": 200, "max_steps": 12, "logging_steps": 4, "use_cpu": True}


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Folder with the texts and rows that the files of docs/study.md name."""
    folder = tmp_path_factory.mktemp("two-stages")
    write_text(folder / "corpus.txt", num_documents=60)
    write_text(folder / "news.txt", num_documents=30, seed=1)
    write_text(folder / "tales.txt", num_documents=30, seed=2)
    (folder / "reviews").mkdir()
    for seed, (split, count) in enumerate((("train", 48), ("validation", 16), ("test", 24))):
        write_rows(folder / "reviews" / f"{split}.jsonl", opinions(count, seed=seed))
    base = {"num_train_epochs": 1, "learning_rate": 1e-2, "use_cpu": True, "logging_steps": 1}
    write(folder / "two.yaml", TWO_STAGES, seeds="0:2", base={**TWO_STAGES["base"], **base})
    write(folder / "alone.yaml", ALONE, seeds="0:2")
    return folder


def write(file, example, **changes):
    study = {**example, "pretraining": {**example["pretraining"], **TINY}, **changes}
    file.write_text(yaml.safe_dump(study))


@pytest.fixture(autouse=True)
def in_its_folder(here, monkeypatch):
    monkeypatch.chdir(here)
    monkeypatch.setenv("ALUM_CACHE", str(here / "cache"))


def cells_of(folder):
    return {file.parent.name: file.stat().st_mtime_ns for file in Path(folder).glob("cells/*/cell.json")}


def stopped_after(count, monkeypatch):
    """Makes the next call of the command stop in the midst of a cell, when so many are finished."""
    from alum.stages.study.cells import cell_run

    real, done = cell_run.environment, []

    def environment():  # what is asked for last, before a cell's record is written
        done.append(1)
        if len(done) > count:
            raise KeyboardInterrupt
        return real()

    monkeypatch.setattr(cell_run, "environment", environment)


@pytest.fixture(scope="module")
def whole(here):
    """The study of two stages, stopped in pre-training and in fine-tuning, and gone on with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        patch.setenv("ALUM_CACHE", str(here / "cache"))
        before = {}
        for count in (1, 4):
            with pytest.MonkeyPatch.context() as stop:
                stopped_after(count, stop)
                assert main(["study", "two.yaml", "--output_dir", "whole"]) == 130
            assert before.items() <= cells_of("whole").items()
            before = cells_of("whole")
        assert len(before) == 5
        assert main(["study", "two.yaml", "--output_dir", "whole"]) == 0
        assert before.items() <= cells_of("whole").items()
    return here / "whole"


def trainings(folder):
    """Records of the cells of a study, by stage."""
    found = {"pretrain": [], "finetune": []}
    for file in sorted(Path(folder).glob("cells/*/cell.json")):
        cell = record(file)
        found["finetune" if "conditions" in cell else "pretrain"].append(cell)
    return found


def test_pre_trainings_are_shared_and_fine_tunings_begin_with_them(whole):
    found = trainings(whole)
    # Standard, adversarial and longer pre-training; four arms and one that is longer in both: two seeds each.
    assert (len(found["pretrain"]), len(found["finetune"])) == (3 * 2, 5 * 2)
    results = record(whole / "results.json")
    assert results["num_cells"] == 16
    assert results["missing"] == []
    keys = {cell["key"]: cell for cell in found["pretrain"]}
    for cell in found["finetune"]:
        before = keys[cell["pretrained"]]
        assert before["seed"] == cell["seed"]
        run = record(whole / "cells" / cell["key"] / "run.json")
        assert Path(run["arguments"]["model_name_or_path"]).name == before["key"]
    assert results["tasks"] == ["news", "reviews"]


def test_losses_are_those_of_the_sequences(whole):
    """The mean over sequences of a text, weighed by their tokens, is what the page says."""
    results = record(whole / "results.json")
    (score,) = [s for s in results["scores"] if (s["task"], s["arm"]) == ("news", "standard")]
    values = {}
    for cell in trainings(whole)["pretrain"]:
        if cell["settings"]["adv_method"] == "standard" and cell["settings"]["max_steps"] == TINY["max_steps"]:
            rows = log_lines(whole / "cells" / cell["key"] / "measured" / "news.jsonl")
            values[str(cell["seed"])] = sum(row["loss"] for row in rows) / sum(row["num_tokens"] for row in rows)
            assert [row["document"] for row in rows] == sorted(row["document"] for row in rows)
            assert 25 < rows[-1]["document"] < 30
    assert score["by_seed"] == pytest.approx(values)
    assert score["value"] == pytest.approx(fmean(values.values()))
    assert score["low"] < score["value"] < score["high"]


def test_cost_is_of_both_stages(whole):
    results = record(whole / "results.json")
    cells = {cell["key"]: cell for of_stage in trainings(whole).values() for cell in of_stage}
    totals = {}
    for cell in cells.values():
        if "conditions" in cell:
            both = cell["train_flops"] + cells[cell["pretrained"]]["train_flops"]
            method = cell["settings"]["adv_method"], cells[cell["pretrained"]]["settings"]["adv_method"]
            if cell["settings"]["num_train_epochs"] == 1:
                totals.setdefault(method, []).append(both)
    costs = {cost["arm"]: cost["flops"] for cost in results["costs"] if cost["task"] == "reviews"}
    assert costs["standard"] == pytest.approx(fmean(totals["standard", "standard"]))
    assert costs["both"] == pytest.approx(fmean(totals["alum_one_pass", "alum_one_pass"]))
    assert costs["standard"] < costs["pretrained_by_alum"] < costs["both"]


def test_halves_of_it_merged_are_the_same_page(here, whole):
    for name, seeds in (("one", "0"), ("two", "1")):
        assert main(["study", "two.yaml", "--output_dir", name, "--seeds", seeds]) == 0
    assert main(["study", "merge", "merged", "one", "two"]) == 0
    assert (here / "merged/report.html").read_bytes() == (whole / "report.html").read_bytes()
    before = cells_of("merged")
    assert main(["study", "two.yaml", "--output_dir", "merged"]) == 0
    assert cells_of("merged") == before
    assert main(["study", "two.yaml", "--output_dir", "one", "--seeds", "1"]) == 0
    assert cells_of("one").keys() == before.keys()


def test_other_text_is_refused(here, whole, capsys):
    shutil.copy(here / "tales.txt", here / "other.txt")
    text = (here / "two.yaml").read_text().replace("corpus.txt", "other.txt")
    (here / "other.yaml").write_text(text)
    assert main(["study", "other.yaml", "--output_dir", "whole"]) == 2
    assert "the text train is not that which the study in whole began with" in capsys.readouterr().err


def test_texts_that_are_gone_are_taken_as_they_were(here, whole):
    shutil.copytree(whole, here / "kept")
    before = cells_of("kept")
    (here / "corpus.txt").rename(here / "gone.txt")
    try:
        assert main(["study", "two.yaml", "--output_dir", "kept"]) == 0
        assert cells_of("kept") == before
        assert main(["study", "two.yaml", "--output_dir", "kept", "--seeds", "7"]) == 2
    finally:
        (here / "gone.txt").rename(here / "corpus.txt")


def test_a_study_of_pre_training_alone_is_searched_and_has_no_weights(here):
    with pytest.MonkeyPatch.context() as stop:
        stopped_after(3, stop)
        assert main(["study", "alone.yaml", "--output_dir", "alone"]) == 130
    assert main(["study", "alone.yaml", "--output_dir", "alone"]) == 0
    results = record("alone/results.json")
    assert results["tasks"] == ["news", "tales"]
    assert results["missing"] == []
    (search,) = results["searches"]
    tried = {values["adv_epsilon"]: loss for values, loss in search["tried"]}
    assert tried[search["chosen"]["adv_epsilon"]] == min(tried.values())
    assert not list(Path("alone").rglob("*.safetensors"))
    costs = {cost["arm"]: cost["times_standard"] for cost in results["costs"] if cost["task"] == "news"}
    assert costs.keys() == set(results["arms"])
    assert costs["standard"] == 1
    page = Path("alone/report.html").read_text()
    assert "nats a token (left: better than standard)" in page


def test_environment_variables_stand_for_folders(here, monkeypatch, capsys):
    text = (here / "alone.yaml").read_text().replace("corpus.txt", "$TEXTS/corpus.txt")
    (here / "placed.yaml").write_text(text)
    assert main(["study", "placed.yaml", "--output_dir", "placed"]) == 2
    assert "$TEXTS/corpus.txt names the environment variable TEXTS, which is not set" in capsys.readouterr().err
    monkeypatch.setenv("TEXTS", str(here))
    assert main(["study", "placed.yaml", "--output_dir", "alone"]) == 0
    assert str(here) not in Path("alone/results.json").read_text()
