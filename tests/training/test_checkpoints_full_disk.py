"""A disk that really fills up: a small file system in memory, in a name space of its own."""

import json
import os
import re
import subprocess
import sys

import pytest

from places import TESTS

MOUNT = 'mount -t tmpfs -o size=12m tmpfs "$0" && exec "$@"'
ROOMS = [0.0, 0.2, 0.5, 0.9, 0.97, 0.99]  # shares of a checkpoint that still fit: each cuts another file off

SCRIPT = """
import json, os, shutil, sys
from pathlib import Path

from transformers import TrainerCallback

from alum.core.errors import InputError
from alum.training.checkpoint_files import damage, newest_whole_checkpoint
from alum.training.trainer import AlumTrainer
from tiny_models import classifier
from tiny_runs import config, labelled_sentences

disk = Path(sys.argv[1])


def free():
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


class FillUp(TrainerCallback):
    def __init__(self, step, num_bytes_left):
        self.step, self.num_bytes_left = step, num_bytes_left

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step - 1:
            with (disk / "filler").open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, free() - self.num_bytes_left)


def train(*callbacks, resume_from=None):
    settings = config(disk / "run", max_steps=5, save_strategy="steps", save_steps=2, optim="adamw_torch")
    model, rows = classifier(vocab_size=6000), labelled_sentences()
    trainer = AlumTrainer(model=model, args=settings, train_dataset=rows, callbacks=list(callbacks))
    trainer.train(resume_from_checkpoint=resume_from)
    return {name: value.tolist() for name, value in trainer.model.state_dict().items()}


def failed(step, num_bytes_left):
    try:
        train(FillUp(step, num_bytes_left))
    except InputError as error:
        names = sorted(path.name for path in (disk / "run").iterdir())
        whole = [name for name in names if damage(disk / "run" / name) is None]
        return {"message": str(error), "names": names, "whole": whole}


undisturbed = train()
checkpoint = disk / "run" / "checkpoint-4"
size = sum(path.stat().st_size for path in checkpoint.iterdir())
shutil.rmtree(disk / "run")
outcomes = []
for room in json.loads(sys.argv[2]):
    outcome = failed(4, int(room * size))
    (disk / "filler").unlink()
    outcome["goes_on"] = train(resume_from=True) == undisturbed
    outcomes.append(outcome)
    shutil.rmtree(disk / "run")
print(json.dumps({"size": size, "later": outcomes, "first": failed(2, size // 2)}))
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    disk = tmp_path_factory.mktemp("disk")
    command = [sys.executable, "-c", SCRIPT, str(disk), json.dumps(ROOMS)]
    name_space = ["unshare", "--map-root-user", "--mount", "sh", "-c", MOUNT, str(disk)]
    try:
        subprocess.run([*name_space, "true"], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("this system has no unshare, to make a small disk with")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"a small disk cannot be mounted here: {error.stderr.strip()}")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*name_space, *command], env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def figures(message):
    free, needed = re.search(r"; ([\d.]+) MB are free in .*, and it takes about ([\d.]+) MB; ", message).groups()
    return float(free), float(needed)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(ROOMS)))
def test_the_checkpoint_before_survives_a_full_disk(outcomes, number):
    outcome = outcomes["later"][number]
    assert outcome["names"] == outcome["whole"] == ["checkpoint-2"]
    message = outcome["message"]
    assert message.startswith("checkpoint-4 could not be written: ")
    assert "checkpoint-2 is unharmed" in message
    assert "--resume_from_checkpoint true" in message
    size = outcomes["size"] / 1e6
    assert figures(message) == pytest.approx((ROOMS[number] * size, size), abs=0.06)
    assert outcome["goes_on"]


@pytest.mark.slow
def test_the_first_checkpoint_is_estimated(outcomes):
    outcome = outcomes["first"]
    assert outcome["names"] == []
    assert outcome["message"].startswith("checkpoint-2 could not be written: ")
    assert "there is no earlier one" in outcome["message"]
    assert figures(outcome["message"])[1] == pytest.approx(outcomes["size"] / 1e6, rel=0.1)
