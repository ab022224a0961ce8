"""Two processes of every command on one folder, and two trainings of two: one works, the other ends and names it."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time

import pytest

from places import ROOT, TESTS
from tiny_stages import log_lines, save_untrained
from tiny_texts import opinions, write_rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# Each process is a fork of one that has torch imported. The first of a pair stops itself at the first change of a file
# once it holds the folder, and goes on when the second has ended.
SCRIPT = """
import json, os, shutil, signal, sys
from pathlib import Path

from fuzz.good import write_good_files
from kill.attempts import Blow, start

folder = Path(sys.argv[1])
folder.mkdir()
pid = os.fork()
if pid == 0:
    write_good_files(folder / "good")
    os._exit(0)
os.waitpid(pid, 0)

training = "--max_steps 2 --save_steps 1 --per_device_train_batch_size 4 --use_cpu --max_seq_length 16".split()
columns = "--text_columns text --label_column label".split()
rows = "--train_file rows.jsonl --validation_file rows.jsonl".split()
asked = ["--model_name_or_path", "classifier", "--validation_file", "rows.jsonl", *columns]
commands = {
    "pretrain": ["pretrain", "--model_name_or_path", "model", "--train_file", "text.txt", *training],
    "finetune": ["finetune", "--model_name_or_path", "model", *rows, *columns, *training],
    "evaluate": ["evaluate", "--model_name_or_path", "classifier", "--suites", "own=rows.jsonl", *columns,
                 "--attacks", "none"],
    "radius": ["radius", "--model_name_or_path", "classifier", "--train_file", "rows.jsonl", *columns],
    "study": ["study", "study.yaml"],
    "compare": ["compare", "one=classifier", "other=classifier"],
    "checklist": ["checklist", "--tests", "typo", *asked],
    "reduce": ["reduce", *asked],
    "triggers": ["triggers", "--num_words", "1", *asked],
    "plan": ["plan", "--architecture", "bert-tiny", "--methods", "standard"],
    "advglue": ["advglue", "--models", "sst2=opinions", "--data_dir", "adv_glue"],
    "augment": ["augment", "--data_file", "rows.jsonl", "--text_columns", "text"],
    "demo": ["demo", "--fast"],
}


def in_place(name):
    place = folder / name
    shutil.copytree(folder / "good", place)
    return place


outcome = {}
for name, words in commands.items():
    words += ["--output_file", "out.jsonl"] if name in ("augment", "plan") else ["--output_dir", "out"]
    place = in_place(name)
    first = start(words, place, Blow("SIGSTOP", "before an event", 4))
    at = first.met()
    second = start(words, place).ended()
    os.kill(first.pid, signal.SIGKILL if name == "demo" else signal.SIGCONT)
    _, status = os.waitpid(first.pid, 0)
    outcome[name] = {"pid": first.pid, "at": at, "code": os.waitstatus_to_exitcode(status), "second": second.code,
                     "said": second.said, "left": [path.name for path in place.glob(".*")]}
print(json.dumps(outcome))
"""
COMMANDS = (
    "pretrain", "finetune", "evaluate", "radius", "study", "compare", "checklist", "reduce",
    "triggers", "plan", "advglue", "augment", "demo",
)  # fmt: skip


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two") / "runs"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(TESTS), str(ROOT), *sys.path]),
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    command = [sys.executable, "-c", SCRIPT, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=560)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", COMMANDS)
def test_the_second_ends_and_names_the_first(outcome, name):
    found = outcome[name]
    assert found["second"] == 2, found
    assert re.match(
        rf"alum: error: out(\.jsonl)? is being written to by process {found['pid']} on \S+ since 20\d\d-", found["said"]
    )


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "demo"])
def test_the_first_is_not_disturbed_and_leaves_no_lock(outcome, name):
    assert outcome[name]["code"] == 0
    assert outcome[name]["left"] == []


# -- trainings of two processes each -----------------------------------------------------------------------------------

TRAINING = shlex.split("""
    finetune --model_name_or_path model --train_file rows.jsonl --validation_file rows.jsonl --text_columns text
    --label_column label --max_steps 100000 --per_device_train_batch_size 2 --use_cpu --max_seq_length 16
    --logging_steps 1 --save_strategy no --disable_tqdm true --output_dir out --resume_from_checkpoint auto
""")


def pair(place):
    """Starts the training in two processes, with the variables by which torchrun tells them of each other."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    environment = {**os.environ, **common, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    return [
        subprocess.Popen(
            [sys.executable, "-m", "alum", *TRAINING],
            cwd=place,
            env=environment | {"RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in "01"
    ]


def num_steps(folder):
    return sum("loss" in line for line in log_lines(folder / "metrics.jsonl")) if folder.exists() else 0


@pytest.fixture
def training(tmp_path):
    """A training of two processes that is under way, in the folder ``out``."""
    save_untrained(tmp_path / "model")
    write_rows(tmp_path / "rows.jsonl", opinions(16))
    processes = pair(tmp_path)
    deadline = time.monotonic() + 500
    while not (tmp_path / "out" / "metrics.jsonl").exists():
        assert time.monotonic() < deadline
        assert [process.poll() for process in processes] == [None, None], processes[0].stdout.read()
        time.sleep(0.2)
    yield processes
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_second_training_of_two_processes_is_refused_in_each(training, tmp_path):
    others = pair(tmp_path)
    for process in others:
        said, _ = process.communicate(timeout=500)
        assert process.returncode == 2, said
        lines = [line for line in said.splitlines() if line.startswith("alum: ")]
        assert len(lines) == 1, said
        assert lines[0].startswith(f"alum: error: out is being written to by process {training[0].pid} on ")
        assert "Traceback" not in said
    steps = num_steps(tmp_path / "out")
    for process in training:
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
    for process in training:
        said, _ = process.communicate(timeout=500)
        assert process.returncode == 143, said
        assert "The same command goes on." in said
        assert "terminate called" not in said
    assert num_steps(tmp_path / "out") >= steps > 0
    assert [path.name for path in (tmp_path / "out").glob("checkpoint-*")]
    assert not list(tmp_path.glob(".*.lock"))
