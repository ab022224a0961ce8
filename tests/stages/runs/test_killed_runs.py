"""Commands that are killed, and given again until they end: all that they leave is what an undisturbed one does."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from places import TESTS
from tiny_stages import log_lines, record, save_untrained
from tiny_texts import opinions, tree, write_rows, write_text

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

KILLED = -signal.SIGKILL
TIMES = re.compile(r"runtime|per_second|seconds|time_share")


@pytest.fixture(scope="module")
def forking(tmp_path_factory):
    """The process that has imported what commands need, which is forked for each attempt."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).with_name("killed_runs.py"))]
    said = tmp_path_factory.mktemp("forking") / "stderr.txt"
    with said.open("w") as file:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, text=True
        )
    yield process
    process.stdin.close()
    assert process.wait() == 0, said.read_text()[-4000:]


class Runs:
    """Commands in folders of their own, side by side."""

    def __init__(self, folder, forking):
        self.folder, self._forking = folder, forking
        save_untrained(folder / "model")
        write_text(folder / "text.txt")
        (folder / "data").mkdir()
        write_rows(folder / "data" / "train.jsonl", opinions(40))
        write_rows(folder / "data" / "validation.jsonl", opinions(24, seed=1))
        self._attempts = []

    def add(self, place, words, *moments):
        """Gives a command again and again, killed at each of the moments, and then without a kill."""
        for moment in (*moments, None):
            self._attempts.append([place, words, moment])

    def run(self):
        """Runs what was added; each command that was to be killed was, and the others ended well."""
        print(json.dumps([str(self.folder), self._attempts]), file=self._forking.stdin, flush=True)
        codes = json.loads(self._forking.stdout.readline())
        for number, ((place, _, moment), code) in enumerate(zip(self._attempts, codes, strict=True)):
            said = (self.folder / place / f"said-{number}.txt").read_text()
            assert code == (KILLED if moment else 0), (place, moment, said)
        self._attempts = []

    def finetune(self, **settings):
        given = {
            "model_name_or_path": self.folder / "model",
            "data_dir": self.folder / "data",
            "text_columns": "text",
            "label_column": "label",
            "output_dir": "run",
            "per_device_train_batch_size": 8,
            "resume_from_checkpoint": "auto",
            **settings,
        }
        return ["finetune", *words_of(given)]

    def pretrain(self, **settings):
        given = {
            "train_file": self.folder / "text.txt",
            "cache_dir": self.folder / "cache",
            "vocab_size": 300,
            "max_seq_length": 16,
            "output_dir": "run",
            "per_device_train_batch_size": 8,
            "adv_start_fraction": 0.5,
            "resume_from_checkpoint": "auto",
            **settings,
        }
        return ["pretrain", *words_of(given)]


def words_of(settings):
    return [str(word) for name, value in settings.items() for word in (f"--{name}", value)] + ["--use_cpu"]


@pytest.fixture
def runs(tmp_path, forking):
    return Runs(tmp_path, forking)


def without_times(value):
    if isinstance(value, dict):
        return {name: without_times(one) for name, one in value.items() if not TIMES.search(name)}
    return [without_times(one) for one in value] if isinstance(value, list) else value


def comparable(folder):
    """All that a run left, by file: bytes, but for times in records and the digests of files that have some."""
    found = {}
    for name, content in tree(folder).items():
        file = Path(name).name
        if file == "manifest.json":
            files = json.loads(content)["files"]
            content = {name: entry for name, entry in files.items() if name != "trainer_state.json"}
        elif file in ("trainer_state.json", "results.json"):
            content = without_times(json.loads(content))
        elif file == "metrics.jsonl":
            content = [list(without_times(json.loads(line)).items()) for line in content.splitlines()]
        elif file == "README.md":
            content = re.sub(r"(?m)^\| time \|.*$|\(.* per second\)", "", content.decode())
        found[name] = content
    return found


def assert_alike(first, second):
    first, second = comparable(first), comparable(second)
    assert first.keys() == second.keys()
    for name, content in first.items():
        assert second[name] == content, name


STOPS_EARLY = {
    "num_train_epochs": 8,  # of 5 steps
    "learning_rate": 0.02,
    "eval_strategy": "steps",
    "eval_steps": 2,
    "save_strategy": "steps",
    "save_steps": 2,
    "save_total_limit": 3,
    "load_best_model_at_end": True,
    "early_stopping_patience": 3,
    "logging_steps": 3,
    "count_flops_every": 3,
}


def test_a_fine_tuning_that_stops_early(runs):
    """Killed in its first write, in steps, after checkpoints, and between each two of its records."""
    command = runs.finetune(**STOPS_EARLY)
    runs.add("undisturbed", command)
    runs.run()
    whole = runs.folder / "undisturbed" / "run"
    last = record(whole / "trainer_state.json")["global_step"]
    assert 8 <= last < 40, "it does not stop early"
    moments = [
        ["before", "run.json"],
        ["step", 1],
        ["after", "checkpoint-2"],
        ["step", 5],
        ["before", f"checkpoint-{last - 2}"],
        ["after", f"checkpoint-{last - 2}"],
        ["step", last - 1],
        ["after", f"checkpoint-{last}"],
        ["before", "predictions.jsonl"],
        ["after", "results.json"],
        ["before", "README.md"],
        ["before", "run.json", 2],
    ]
    runs.add("killed", command, *moments)
    runs.run()
    killed = runs.folder / "killed" / "run"
    assert_alike(whole, killed)
    before = tree(killed)
    runs.add("killed", command)
    runs.run()
    assert tree(killed) == before


def test_a_pre_training_that_is_extended(runs):
    settings = {"save_steps": 3, "save_total_limit": 2, "logging_steps": 4, "count_flops_every": 2}
    short, long = (runs.pretrain(max_steps=steps, **settings) for steps in (6, 12))
    for place in ("undisturbed", "killed"):
        runs.add(place, short)
    runs.add("undisturbed", long)
    runs.add(
        "killed", long, ["step", 7], ["after", "checkpoint-12"], ["after", "results.json"], ["before", "README.md"]
    )
    runs.run()
    killed = runs.folder / "killed" / "run"
    assert_alike(runs.folder / "undisturbed" / "run", killed)
    assert record(killed / "results.json")["num_steps"] == 12
    before = tree(killed)
    runs.add("killed", long)
    runs.run()
    assert tree(killed) == before


def test_what_was_deleted_of_a_finished_run_comes_back(runs):
    command = runs.finetune(num_train_epochs=2, save_steps=4)
    runs.add("a", command)
    runs.run()
    folder = runs.folder / "a" / "run"
    whole = comparable(folder)
    for name in ("model.safetensors", "results.json", "README.md", "metrics.jsonl"):
        (folder / name).unlink()
        runs.add("a", command)
        runs.run()
        found = comparable(folder)
        if name == "metrics.jsonl":  # the order of values within a line is lost
            found, whole = ({**one, name: list(map(dict, one[name]))} for one in (found, whole))
        assert found == whole, name


def test_evaluations_at_the_end_of_an_epoch_are_no_part_of_the_next(runs):
    """The checkpoint of the last step of an epoch has them behind it; five steps are an epoch."""
    command = runs.finetune(
        num_train_epochs=3, eval_strategy="epoch", save_strategy="steps", save_steps=5, logging_steps=2
    )
    runs.add("undisturbed", command)
    runs.add("killed", command, ["after", "checkpoint-5"], ["after", "checkpoint-10"], ["after", "checkpoint-15"])
    runs.run()
    assert_alike(runs.folder / "undisturbed" / "run", runs.folder / "killed" / "run")
    lines = log_lines(runs.folder / "killed" / "run" / "metrics.jsonl")
    assert [line["step"] for line in lines if "eval_loss" in line] == [5, 10, 15]
