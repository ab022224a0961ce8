"""Runs that are killed anywhere end as undisturbed ones, and what tells that is itself right."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kill.attempts import Blow, attempt
from kill.cases import cases_of
from kill.comparing import differences
from kill.events import Event
from places import ROOT, TESTS

ALL_STAGES = {"pretraining", "fine-tuning", "evaluation", "study", "demo"}
ONE = "sentence"  # in the names of the runs
EVERY = ""


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("runs", "num_cases", "stages"),
    [
        (ONE, 4, {"fine-tuning"}),
        pytest.param(EVERY, 12, ALL_STAGES, marks=pytest.mark.slow),
    ],
)
def test_killed_runs_end_as_undisturbed_ones(tmp_path, runs, num_cases, stages):
    """In a process of its own: what is forked must have had no threads."""
    words = ["--seed", "1", "--cases", str(num_cases), "--only", runs, "--folder", str(tmp_path)]
    done = driven("kill", *words)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    outcomes = [json.loads(line) for line in (tmp_path / "seed-1.jsonl").read_text().splitlines()]
    assert len(outcomes) == num_cases
    assert {outcome["stage"] for outcome in outcomes} == stages
    ended = [one["code"] for outcome in outcomes for one in outcome["attempts"] if one["num_signals"]]
    assert -signal.SIGKILL in ended
    assert {130, 143, -signal.SIGTERM} & set(ended)  # as the handler says, or before there is one


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(("--cases", "4", "--only", ONE), marks=pytest.mark.slow),
        pytest.param(("--cases", "12"), marks=pytest.mark.slow),
        pytest.param(("--cases", "6", "--only", "tuning", "--on_a_small_disk"), marks=pytest.mark.slow),
    ],
    ids=["one run, from a write on", "from a write on", "of a size"],
)
def test_a_full_disk_ends_a_run_in_a_line_and_it_goes_on(tmp_path, kind):
    mount = ["unshare", "-m", "mount", "-t", "tmpfs", "none", tmp_path]
    if "--on_a_small_disk" in kind and subprocess.run(mount, check=False).returncode:
        pytest.skip("needs the right to mount a small disk")
    done = driven("kill.full_disk", "--seed", "1", "--folder", str(tmp_path / "runs"), *kind)
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one for one in outcomes if one["faults"] or one["differences"]] == []
    assert done.returncode == 0, done.stderr[-2000:]
    assert sum(one["code"] == 2 for one in outcomes) >= len(outcomes) / 2


def driven(*words):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(ROOT), *sys.path])}
    return subprocess.run([sys.executable, "-m", *words], env=environment, capture_output=True, text=True)


# -- the driver --------------------------------------------------------------------------------------------------------


def writes(words):
    """Stands in for a command: three files, one of them renamed and one removed."""
    Path("out").mkdir(exist_ok=True)
    Path("out/a").write_text("a")
    os.replace("out/a", "out/b")
    Path("out/c").write_text("c")
    Path("out/c").unlink()
    return 0


@pytest.mark.parametrize(
    ("number", "left"),
    [(0, None), (1, []), (2, ["a"]), (3, ["b"]), (4, ["b", "c"])],
    ids=["mkdir", "write", "rename", "write again", "remove"],
)
def test_a_kill_comes_right_before_its_event(monkeypatch, tmp_path, number, left):
    monkeypatch.setattr("kill.attempts.main", writes)
    ended = attempt([], tmp_path, Blow("SIGKILL", "before an event", number))
    assert (ended.code, ended.num_signals) == (-signal.SIGKILL, 1)
    found = sorted(path.name for path in (tmp_path / "out").iterdir()) if (tmp_path / "out").exists() else None
    assert found == left


def test_a_blow_comes_once(monkeypatch, tmp_path):
    def writes_at_its_end(words):
        try:
            return writes(words)
        except KeyboardInterrupt:
            Path("out/end").touch()
            return 130

    monkeypatch.setattr("kill.attempts.main", writes_at_its_end)
    ended = attempt([], tmp_path, Blow("SIGINT", "before an event", 2))
    assert (ended.code, ended.num_signals) == (130, 1)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "end"]


def test_a_blow_that_comes_too_late_is_none(monkeypatch, tmp_path):
    monkeypatch.setattr("kill.attempts.main", writes)
    assert attempt([], tmp_path, Blow("SIGKILL", "before an event", 5)).num_signals == 0


def test_every_event_has_a_case():
    events = [Event(number, "open", f"out/{number}", number / 10) for number in range(20)]
    cases = cases_of("a run", events, 2.0, seed=3)
    alone = [case.blows[0] for case in cases if len(case.blows) == 1 and case.blows[0].second is None]
    assert {blow.event for blow in alone if blow.aim == "before an event"} == set(range(20))
    assert {case.blows[0].signal for case in cases} == {"SIGKILL", "SIGTERM", "SIGINT"}
    assert cases == cases_of("a run", events, 2.0, seed=3)


RESULTS = {"accuracy": 0.5, "train_seconds": 1.0, "logs": [{"eval_runtime": 1.0, "loss": 0.1}]}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({**RESULTS, "train_seconds": 2.0}, []),
        ({**RESULTS, "logs": [{"eval_runtime": 3.0, "loss": 0.1}]}, []),
        ({**RESULTS, "accuracy": 0.6}, ["results.json differs at .accuracy: '0.6', not '0.5'"]),
        ({**RESULTS, "logs": [{"loss": 0.2}]}, ["results.json differs at .logs[0].loss: '0.2', not '0.1'"]),
    ],
)
def test_all_but_times_is_compared(tmp_path, changed, expected):
    for name, value in (("one", changed), ("other", RESULTS)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(json.dumps(value))
    assert differences(tmp_path / "one", tmp_path / "other") == expected


def test_files_of_one_run_alone_are_differences(tmp_path):
    for name, file in (("one", ".draft"), ("other", "weights")):
        (tmp_path / name / "checkpoint-2").mkdir(parents=True)
        (tmp_path / name / file).write_bytes(b"\0")
    (tmp_path / "one" / "checkpoint-3").mkdir()
    assert differences(tmp_path / "one", tmp_path / "other") == [
        "weights is missing",
        ".draft is left over",
        "checkpoint-3 is left over",
    ]
    assert "checkpoint-3 is left over" not in differences(tmp_path / "one", tmp_path / "other", is_stopped=True)
