"""Whole studies of tiny models, the file of docs/study.md among them: killed, gone on with, merged from halves."""

import gc
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import fmean

import pytest
import torch
import yaml
from transformers import BertForMaskedLM

from alum.cli.main import main
from alum.stages.held_folder import held
from alum.training.trainer import AlumTrainer
from places import ROOT
from tiny_stages import log_lines, record, save_untrained
from tiny_texts import opinions, write_rows

EXAMPLE = re.search(r"```yaml\n(.*?)```", (ROOT / "docs/study.md").read_text(encoding="utf-8"), re.DOTALL)[1]
EXAMPLE = EXAMPLE.replace("base:", "base:\n  learning_rate: 3e-2", 1)  # few rows and random weights
ARMS, TASKS, SEEDS = ("standard", "alum_one_pass", "deeper", "standard_plus"), ("reviews", "letters"), (0, 1, 2)


def write_task(folder, seed):
    folder.mkdir()
    for split, count in (("train", 48), ("validation", 16), ("test", 24)):
        seed += 1
        write_rows(folder / f"{split}.jsonl", opinions(count, seed=seed))


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Folder with the model and the data that the file names."""
    folder = tmp_path_factory.mktemp("study")
    model = BertForMaskedLM.from_pretrained(save_untrained(folder / "pretrained"))
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim == 2:
                weights.mul_(20)  # so that inputs tell, and a few steps
    model.save_pretrained(folder / "pretrained")
    gc.freeze()  # the Trainer collects garbage after training, and looking through all modules takes longer than it
    for number, task in enumerate(TASKS):
        write_task(folder / task, 10 * number)
    (folder / "study.yaml").write_text(EXAMPLE)
    return folder


@pytest.fixture(autouse=True)
def in_its_folder(here, monkeypatch):
    monkeypatch.chdir(here)


def cells_of(folder):
    return {file.parent.name: file.stat().st_mtime_ns for file in Path(folder).glob("cells/*/cell.json")}


def workers_of(folder):
    """Processes that have a log of the study's workers open."""
    found = []
    for process in Path("/proc").glob("[0-9]*/fd"):
        try:
            links = [os.readlink(link) for link in process.iterdir()]
        except OSError:
            continue
        if any(str(Path(folder).resolve() / "logs") in link for link in links):
            found.append(process.parent.name)
    return found


@pytest.fixture(scope="module")
def whole(here):
    """The study of the file."""
    os.chdir(here)
    assert main(["study", "study.yaml", "--output_dir", "whole"]) == 0
    return here / "whole"


@pytest.fixture(scope="module")
def results(whole):
    return record(whole / "results.json")


def test_every_arm_is_trained_on_every_task_with_every_seed(whole, results):
    assert len(cells_of(whole)) == 24 == results["num_cells"]
    assert results["missing"] == []
    assert tuple(results["arms"]) == ARMS
    assert {(s["task"], s["arm"]) for s in results["scores"]} == {(task, arm) for task in TASKS for arm in ARMS}


def test_scores_and_differences_are_those_of_the_rows(whole, results):
    rows = {}
    for file in whole.glob("cells/*/cell.json"):
        cell = record(file)
        found = log_lines(file.parent / "measured/rows/model/test/clean.jsonl")
        value = fmean(row["scores"]["accuracy"] for row in found)
        settings = cell["settings"]
        arm = "deeper" if "adv_layer" in settings else settings["adv_method"]
        arm = "standard_plus" if settings["num_train_epochs"] != 2 else arm
        rows[settings["data_dir"], arm, cell["seed"]] = value
    for score in results["scores"]:
        if score["metric"] == "accuracy":
            values = {str(seed): rows[score["task"], score["arm"], seed] for seed in SEEDS}
            assert score["by_seed"] == pytest.approx(values)
            assert score["value"] == pytest.approx(fmean(values.values()))
            assert score["low"] <= score["value"] <= score["high"]
    compared = [entry for entry in results["comparisons"] if entry["metric"] == "accuracy"]
    assert len(compared) == 2 * (3 + 2)  # three arms against standard, two against standard_plus, on two tasks
    for entry in compared:
        differences = [
            rows[entry["task"], entry["arm"], seed] - rows[entry["task"], entry["baseline"], seed] for seed in SEEDS
        ]
        assert entry["difference"] == pytest.approx(fmean(differences))


def test_standard_plus_costs_what_the_dearest_arm_does(results):
    for task in TASKS:
        costs = {cost["arm"]: cost["times_standard"] for cost in results["costs"] if cost["task"] == task}
        assert costs["standard"] == 1
        assert costs["alum_one_pass"] == pytest.approx(2, rel=0.1)
        assert costs["deeper"] < costs["alum_one_pass"]
        assert costs["standard_plus"] == pytest.approx(costs["alum_one_pass"], rel=0.2)  # in whole steps


@pytest.mark.slow
def test_halves_of_it_merged_are_the_same_page(here, whole, capsys):
    for name, seeds in (("one", "0:2"), ("two", "2")):
        assert main(["study", "study.yaml", "--output_dir", name, "--seeds", seeds]) == 0
    assert main(["study", "merge", "both", "one", "two"]) == 0
    assert (here / "both/report.html").read_bytes() == (whole / "report.html").read_bytes()
    merged, one_piece = record(here / "both/results.json"), record(whole / "results.json")
    for found in (merged, one_piece):
        for cost in found["costs"]:
            del cost["seconds"]
    assert merged == one_piece
    assert cells_of("both").keys() == cells_of(whole).keys()


@pytest.mark.slow
def test_a_study_whose_workers_are_killed_goes_on_and_is_the_same_page(here, whole):
    command = [sys.executable, "-m", "alum", "study", "study.yaml", "--output_dir", "killed", "--workers", "2"]
    folder = here / "killed"
    with (here / "killed.txt").open("w") as log:
        process = subprocess.Popen(command, cwd=here, stdout=log, stderr=log)
        deadline = time.monotonic() + 500
        while len(cells_of(folder)) < 3:
            assert process.poll() is None, (here / "killed.txt").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
    deadline = time.monotonic() + 60
    while workers_of(folder):
        assert time.monotonic() < deadline, "workers outlived the study"
        time.sleep(0.05)
    before = cells_of(folder)
    assert 3 <= len(before) < 24
    assert main(command[3:-2]) == 0
    assert before.items() <= cells_of(folder).items()  # none was trained again
    assert (folder / "report.html").read_bytes() == (whole / "report.html").read_bytes()


def test_its_cells_are_runs_that_can_be_compared(whole, capsys):
    words, validated = [], {}
    for file in sorted(whole.glob("cells/*/cell.json")):
        cell = record(file)
        settings, arm = cell["settings"], cell["settings"]["adv_method"]
        in_arm = settings["num_train_epochs"] == 2 and "adv_layer" not in settings
        if settings["data_dir"] == "reviews" and in_arm:
            words.append(f"{arm}={file.parent}")
            validated[arm, cell["seed"]] = cell["metrics"]["accuracy"]
    words.sort(key=lambda word: not word.startswith("standard"))
    assert main(["compare", *words, "--output_dir", "compared"]) == 0
    (entry,) = [one for one in record("compared/results.json")["comparisons"] if one["metric"] == "accuracy"]
    assert (entry["baseline"], entry["num_seeds"]) == ("standard", 3)
    differences = [validated["alum_one_pass", seed] - validated["standard", seed] for seed in SEEDS]
    assert entry["difference"] == pytest.approx(fmean(differences))


def test_a_finished_study_is_summed_up_again_without_training(whole, capsys):
    before = cells_of(whole)
    assert main(["study", "study.yaml", "--output_dir", "whole"]) == 0
    assert cells_of(whole) == before
    assert "is better than standard on" in " ".join(capsys.readouterr().out.split())


def small(**parts):
    """Study of one task without controls, as a file."""
    study = {**yaml.safe_load(EXAMPLE), "controls": {}, "tasks": {"reviews": {"data_dir": "reviews"}}, **parts}
    Path("small.yaml").write_text(yaml.safe_dump(study))
    return "small.yaml"


def test_arms_seeds_and_searches_are_added_to_a_study(here):
    assert main(["study", small(arms={"r_drop": {}}, seeds=[0]), "--output_dir", "more"]) == 0
    old = cells_of("more")
    assert len(old) == 2
    searched = {"searched": {"adv_method": "fgm"}}
    file = small(arms=searched, seeds=[1], search={"searched": {"learning_rate": [1e-5, 1e-2]}}, search_seeds=[1000])
    assert main(["study", file, "--output_dir", "more"]) == 0
    assert old.items() <= cells_of("more").items()
    results = record("more/results.json")
    assert results["arms"] == ["standard", "r_drop", "searched"]
    assert results["seeds"] == [0, 1]
    assert results["missing"] == []
    (search,) = results["searches"]
    scores = {values["learning_rate"]: score for values, score in search["tried"]}
    assert scores.keys() == {1e-5, 1e-2}
    assert scores[search["chosen"]["learning_rate"]] == max(scores.values())
    searching = [record(file) for file in Path("more").glob("cells/*/cell.json")]
    searching = [cell for cell in searching if cell["evaluation"] is None]
    assert {cell["seed"] for cell in searching} == {1000}
    assert len(searching) == 2
    for cell in searching:
        assert not (Path("more/cells") / cell["key"] / "measured").exists()  # no test row was touched


DIVERGES = {"weight_decay": 1e30, "max_grad_norm": 0.0, "logging_steps": 1}


def test_a_training_that_diverges_ends_no_other_one(here, capsys):
    file = small(arms={"wild": {"adv_method": "fgm", **DIVERGES}, "r_drop": {}}, seeds=[0])
    for _ in range(2):
        assert main(["study", file, "--output_dir", "diverged"]) == 1
        assert "wild, seed 0: " in (said := capsys.readouterr().err)
        assert "no number" in said
        assert len(cells_of("diverged")) == 2
    results = record("diverged/results.json")
    assert {score["arm"] for score in results["scores"]} == {"standard", "r_drop"}


def test_what_diverges_in_a_search_is_not_chosen(here):
    searched = {"fgm": {"max_grad_norm": 0.0, "logging_steps": 1}}
    file = small(arms=searched, seeds=[0], search={"fgm": {"weight_decay": [0.0, 1e30]}}, search_seeds=[1000])
    assert main(["study", file, "--output_dir", "searched"]) == 0
    (search,) = record("searched/results.json")["searches"]
    assert {values["weight_decay"]: score is None for values, score in search["tried"]} == {0.0: False, 1e30: True}
    assert search["chosen"] == {"weight_decay": 0.0}
    assert "diverged" in Path("searched/report.html").read_text()


def test_weights_are_not_kept(whole):
    assert not list(whole.rglob("*.safetensors"))


def wrong(here, text, folder="wrong"):
    Path("wrong.yaml").write_text(text)
    return main(["study", "wrong.yaml", "--output_dir", folder])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("data_dir: letters", "data_dir: nowhere", "task letters: no folder at nowhere"),
        ("label_column: label", "label_column: lable", "task reviews: .* has no column 'lable'"),
        ("adv_layer: 1", "adv_epsilon: many", "arms, deeper: adv_epsilon cannot be 'many'"),
        ("adv_layer: 1", "adv_layers: 1", "wrong.yaml: arms, deeper: unknown setting 'adv_layers'. Did you mean"),
        ("model_name_or_path: pretrained", "model_name_or_path: [1]", "model_name_or_path cannot be"),
        ("seeds: 0:3", "evaluation: {attacks: [nothing]}", "reviews, evaluation: unknown attack 'nothing'"),
        ("seeds: 0:3", "evaluation: {num_steps: 0}", "num_steps must be 1 or more"),
    ],
)
def test_bad_input_is_a_line_and_exit_code_2(here, old, new, message, capsys):
    shutil.rmtree("wrong", ignore_errors=True)
    assert wrong(here, EXAMPLE.replace(old, new)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(message, line)
    assert not list(Path("wrong").glob("cells/*"))


def test_an_arm_that_has_changed_is_refused(here, whole, capsys):
    assert wrong(here, EXAMPLE.replace("adv_layer: 1", "adv_layer: 0"), "whole") == 2
    assert "arm deeper: adv_layer is '1' in whole/study.yaml and '0' in the file" in capsys.readouterr().err


def test_other_rows_are_refused(here, whole, capsys):
    write_task(here / "others", 50)
    assert wrong(here, EXAMPLE.replace("data_dir: letters", "data_dir: others"), "whole") == 2
    assert "the rows of task letters are not those that the study in whole began with" in capsys.readouterr().err


def test_a_folder_that_holds_something_else_is_left_alone(here, capsys):
    assert main(["study", "study.yaml", "--output_dir", "reviews"]) == 2
    assert "already holds something that is no study" in capsys.readouterr().err
    assert len(list((here / "reviews").iterdir())) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("merge whole whole whole", "holds something already"),
        ("merge new whole reviews", "reviews is no folder of a study"),
        ("merge new", "expected alum study merge OUT A B"),
        ("study.yaml", "output_dir"),
        ("missing.yaml --output_dir out", "no file at missing.yaml"),
        ("study.yaml --output_dir out --seeds x", "seeds must be a range"),
    ],
)
def test_calls_that_cannot_be_meant(whole, words, message, capsys):
    assert main(["study", *words.split()]) == 2
    assert message in capsys.readouterr().err


def test_a_training_that_fails_is_told_of_and_the_rest_is_done(here, monkeypatch, capsys):
    from alum.stages.study.cells import cell_run

    finetune = cell_run.finetune

    def failing(arguments, config):
        if config.adv_method == "r_drop":
            raise RuntimeError("out of luck")
        return finetune(arguments, config)

    monkeypatch.setattr(cell_run, "finetune", failing)
    Path(small(arms={"r_drop": {}}, seeds=[0])).rename("failing.yaml")
    assert main(["study", "failing.yaml", "--output_dir", "failing"]) == 1
    error = capsys.readouterr().err
    assert "1 cells failed, the first with: reviews, r_drop, seed 0: RuntimeError: out of luck" in error
    assert "out of luck" in Path("failing/logs/failed.txt").read_text()
    assert record("failing/results.json")["missing"] == ["reviews, r_drop, seed 0"]
    monkeypatch.undo()
    os.chdir(here)
    assert main(["study", "failing.yaml", "--output_dir", "failing"]) == 0
    assert record("failing/results.json")["missing"] == []


def test_validation_rows_may_be_held_back_from_training(here):
    (here / "two_splits").mkdir()
    for split in ("train", "validation"):
        shutil.copy(here / f"reviews/{split}.jsonl", here / "two_splits")
    tasks = {"t": {"data_dir": "two_splits", "validation_share": 0.25}}
    assert main(["study", small(tasks=tasks, arms={"r_drop": {}}, seeds=[0]), "--output_dir", "share"]) == 0
    (data,) = [path for path in Path("share/data").iterdir() if path.is_dir()]
    train, validation = (log_lines(data / f"{split}.jsonl") for split in ("train", "validation"))
    assert (len(train), len(validation)) == (36, 12)
    given = [json.loads(line) for line in Path("reviews/train.jsonl").read_text().splitlines()]
    assert sorted(map(str, train + validation)) == sorted(str(dict(sorted(row.items()))) for row in given)
    assert len(log_lines(data / "test/test.jsonl")) == 16


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_it_and_says_how_to_go_on(here, monkeypatch, stop, code, capsys):
    from alum.stages.study.cells import cell_run

    measure = cell_run._measure

    def measured_and_stopped(*arguments):
        signal.raise_signal(stop)
        return measure(*arguments)

    monkeypatch.setattr(cell_run, "_measure", measured_and_stopped)
    folder = f"stopped-{code}"
    assert main(["study", small(arms={"r_drop": {}}, seeds=[0]), "--output_dir", folder]) == code
    assert f"Finished cells are kept in {folder}: the same command goes on" in capsys.readouterr().err
    assert not cells_of(folder)


@pytest.fixture
def stopped(here, monkeypatch):
    """File of a study, and a folder where it was stopped while rows of its first cell were measured."""
    from alum.evaluation.scores.row_records import RowRecords

    file = small(arms={"r_drop": {}}, seeds=[0], evaluation={"attacks": ["typing"]})
    add, added = RowRecords.add, []

    def add_and_stop(self, records):
        add(self, records)
        added.extend(records)
        if len(added) == 30:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(RowRecords, "add", add_and_stop)
        assert main(["study", file, "--output_dir", "goes_on"]) == 143
    yield file, Path("goes_on")
    shutil.rmtree("goes_on")


@pytest.fixture(scope="module")
def undisturbed(here):
    os.chdir(here)
    file = small(arms={"r_drop": {}}, seeds=[0], evaluation={"attacks": ["typing"]})
    assert main(["study", file, "--output_dir", "undisturbed"]) == 0
    return Path("undisturbed")


def same_as(folder, undisturbed):
    """Whether a study found the same, to the last digit of each row."""
    rows = [path.relative_to(undisturbed) for path in undisturbed.rglob("rows/**/*.jsonl")]
    found, expected = record(folder / "results.json"), record(undisturbed / "results.json")
    return all((folder / row).read_bytes() == (undisturbed / row).read_bytes() for row in rows) and all(
        found[name] == expected[name] for name in ("scores", "comparisons", "missing")
    )


def test_a_cell_that_was_stopped_goes_on_where_it_was(stopped, undisturbed):
    """Its training is not made again, nor rows measured again."""
    file, folder = stopped
    (cell,) = folder.glob("cells/[!.]*")
    kept = [cell / "metrics.jsonl", *cell.rglob("rows/**/clean.jsonl")]
    assert len(kept) == 2
    times = [path.stat().st_mtime_ns for path in kept]
    assert main(["study", file, "--output_dir", str(folder)]) == 0
    assert [path.stat().st_mtime_ns for path in kept] == times
    assert same_as(folder, undisturbed)


def test_a_training_that_was_killed_goes_on_from_its_last_checkpoint(here, undisturbed, monkeypatch):
    base = {**yaml.safe_load(EXAMPLE)["base"], "save_minutes": 1e-9}  # at each step
    file = small(base=base, arms={"r_drop": {}}, seeds=[0], evaluation={"attacks": ["typing"]})
    steps, step = [], AlumTrainer.training_step

    def step_and_die(self, *args, **kwargs):
        steps.append(self.state.global_step)
        if len(steps) == 3:
            raise KeyboardInterrupt
        return step(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(AlumTrainer, "training_step", step_and_die)
        assert main(["study", file, "--output_dir", "in_training"]) == 130
    assert steps == [0, 1, 2]
    steps.clear()
    with monkeypatch.context() as patch:
        patch.setattr(
            AlumTrainer, "training_step", lambda *args: steps.append(args[0].state.global_step) or step(*args)
        )
        assert main(["study", file, "--output_dir", "in_training"]) == 0
    assert steps[0] == 2
    assert same_as(Path("in_training"), undisturbed)
    assert not list(Path("in_training").rglob("checkpoint-*"))


def test_a_checkpoint_that_finds_no_space_costs_none_that_is_there(here, undisturbed, monkeypatch, capsys):
    base = {**yaml.safe_load(EXAMPLE)["base"], "save_minutes": 1e-9}
    file = small(base=base, arms={"r_drop": {}}, seeds=[0], evaluation={"attacks": ["typing"]})
    write = AlumTrainer._write

    def written_but_the_third(self, model, trial, checkpoint):
        return "no space left" if checkpoint.name == "checkpoint-3" else write(self, model, trial, checkpoint)

    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(AlumTrainer, "_write", written_but_the_third)
            assert main(["study", file, "--output_dir", "no_space"]) == 2
        assert "checkpoint-2 is unharmed" in capsys.readouterr().err
        assert {path.name for path in Path("no_space").rglob("checkpoint-*")} == {"checkpoint-1", "checkpoint-2"}
    assert main(["study", file, "--output_dir", "no_space"]) == 0
    assert same_as(Path("no_space"), undisturbed)


def test_what_another_version_left_in_a_cell_is_begun_anew(stopped, undisturbed):
    file, folder = stopped
    (run,) = folder.glob("cells/[!.]*/run.json")
    written = record(run)
    written["config"]["learning_rate"] = 1.0
    run.write_text(json.dumps(written))
    assert main(["study", file, "--output_dir", str(folder)]) == 0
    assert record(run)["config"]["learning_rate"] != 1.0
    assert same_as(folder, undisturbed)


def test_two_cannot_work_on_one_folder(here, capsys):
    Path("locked").mkdir()
    with held("locked"):
        assert main(["study", small(arms={"r_drop": {}}, seeds=[0]), "--output_dir", "locked"]) == 2
    assert f"locked is being written to by process {os.getpid()}" in (said := capsys.readouterr().err)
    assert "alum study merge" in said
