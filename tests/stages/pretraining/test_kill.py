"""A pre-training run that is killed again and again, in training and in saving, and resumed each time."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from places import TESTS
from tiny_stages import log_lines
from tiny_texts import write_text

NUM_STEPS = 48

# Importing torch takes longer than a whole run, so each attempt is a fork of one process that has it imported.
SCRIPT = """
import json, os, random, shutil, signal, sys, time
from pathlib import Path

from alum.cli import commands
from alum.cli.main import main

folder, num_steps = Path(sys.argv[1]), int(sys.argv[2])
rng = random.Random(0)


def start(name, *flags):
    pid = os.fork()
    if pid:
        return pid
    output = os.open(folder / f"{name}.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    settings = {
        "train_file": folder / "text.txt",
        "output_dir": folder / name,
        "architecture": "bert-tiny",
        "vocab_size": 300,
        "max_seq_length": 16,
        "max_steps": num_steps,
        "per_device_train_batch_size": 8,
        "adv_method": "alum_one_pass",
        "adv_start_fraction": 0.5,
        "logging_steps": 1,
        "save_steps": 3,
        "seed": 7,
    }
    words = [str(word) for key, value in settings.items() for word in (f"--{key}", value)]
    code = main(["pretrain", *words, "--use_cpu", *flags])
    sys.stdout.flush()
    os._exit(code)


def ended(pid, options=0):
    found, status = os.waitpid(pid, options)
    return os.waitstatus_to_exitcode(status) if found else None


def finish(name, *flags):
    return ended(start(name, *flags))


def num_logged():
    path = folder / "killed" / "metrics.jsonl"
    return path.read_bytes().count(b"\\n") if path.exists() else 0


def is_saving():
    try:
        return bool(os.listdir(folder / "killed" / ".drafts"))
    except FileNotFoundError:
        return False


def wait_until(happened, pid):
    while not happened():
        time.sleep(0.001)
        code = ended(pid, os.WNOHANG)
        assert code is None, f"ended by itself with {code}"


def kill_at(moment, pid):
    if moment == "output":
        wait_until((folder / "killed" / "run.json").exists, pid)
        delay = 0.2
    elif moment == "step":
        num_lines = num_logged() + rng.randint(1, 6)
        wait_until(lambda: num_logged() >= num_lines and not is_saving(), pid)
        delay = 0.03
    elif moment == "save":
        for _ in range(rng.randint(1, 3)):
            wait_until(lambda: not is_saving(), pid)
            wait_until(is_saving, pid)
        delay = 0.02
    else:
        wait_until((folder / "killed" / f"checkpoint-{num_steps}").exists, pid)
        delay = 0.05
    time.sleep(rng.random() * delay)
    os.kill(pid, signal.SIGKILL)
    return ended(pid)


outcome = {"undisturbed": finish("undisturbed"), "kills": []}
flags = ()
for moment in ("output", "step", *rng.choices(("step", "save", "save"), k=7), "end"):
    pid = start("killed", *flags)
    code = kill_at(moment, pid)
    outcome["kills"].append({"moment": moment, "code": code, "while_saving": is_saving()})
    flags = ("--resume_from_checkpoint", "true")
outcome["killed"] = finish("killed", *flags)
for name in ("model.safetensors", "optimizer.pt"):
    damaged = shutil.copytree(folder / "undisturbed", folder / name)
    path = damaged / f"checkpoint-{num_steps}" / name
    os.truncate(path, path.stat().st_size // 2)
    (damaged / "model.safetensors").unlink()  # or the run is finished, and needs no checkpoint
    outcome[name] = finish(name, *flags)
print(json.dumps(outcome))
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folders of the runs, and how the processes ended."""
    folder = tmp_path_factory.mktemp("runs")
    write_text(folder / "text.txt")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]),
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    command = [sys.executable, "-c", SCRIPT, str(folder), str(NUM_STEPS)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder, json.loads(done.stdout.splitlines()[-1])


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


def logged(folder):
    """What each step logged, and the evaluations; all but the times."""
    lines = [line for line in log_lines(folder / "metrics.jsonl") if "train_runtime" not in line]
    times = ("time", "runtime", "per_second")
    return [{name: line[name] for name in line if not any(word in name for word in times)} for line in lines]


@pytest.mark.slow
def test_a_run_that_is_killed_ten_times_ends_as_the_undisturbed_one(runs):
    folder, outcome = runs
    assert [kill["code"] for kill in outcome["kills"]] == [-signal.SIGKILL] * 10
    assert outcome["undisturbed"] == outcome["killed"] == 0
    assert weights(folder / "killed") == weights(folder / "undisturbed")


@pytest.mark.slow
def test_the_kills_came_in_training_and_in_saving(runs):
    """What was to kill the run where it is vulnerable did."""
    while_saving = [kill["while_saving"] for kill in runs[1]["kills"]]
    assert while_saving.count(True) >= 2
    assert while_saving.count(False) >= 2
    assert not (runs[0] / "killed" / ".drafts").exists()


@pytest.mark.slow
def test_each_step_is_logged_once_and_as_in_the_undisturbed_run(runs):
    killed, undisturbed = logged(runs[0] / "killed"), logged(runs[0] / "undisturbed")
    assert [line["step"] for line in killed if "loss" in line] == list(range(1, NUM_STEPS + 1))
    assert killed == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.pt"])
def test_a_checkpoint_cut_short_is_named_and_the_one_before_it_used(runs, name):
    folder, outcome = runs
    assert outcome[name] == 0
    said = (folder / f"{name}.txt").read_text()
    passed_over = rf"checkpoint-{NUM_STEPS} is passed over: {re.escape(name)} has \d+ bytes, not \d+\."
    assert re.search(passed_over, said), said
    assert f"it is now {folder / name / f'old-checkpoint-{NUM_STEPS}'}" in said
    assert weights(folder / name) == weights(folder / "undisturbed")
    assert logged(folder / name) == logged(folder / "undisturbed")
