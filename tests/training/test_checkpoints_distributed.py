"""Checkpoints and stops of two processes on the CPU."""

import json
import os
import subprocess
import sys

import pytest

from alum.training.checkpoint_files import checkpoints_in, damage
from places import TESTS

NUM_STEPS = 12

SCRIPT = """
import json, os, signal, sys, time
from pathlib import Path

import torch
from transformers import TrainerCallback

from alum.training.callbacks import SaveEveryMinutes, StopCleanly
from alum.training.trainer import AlumTrainer
from tiny_models import classifier
from tiny_runs import config, labelled_sentences

torch.set_num_threads(1)
folder, rank, num_steps = Path(sys.argv[1]), int(os.environ["RANK"]), int(sys.argv[2])


class SignalledTwice(TrainerCallback):
    def on_step_begin(self, args, state, control, **kwargs):
        if rank == 1 and state.global_step == 4:
            for _ in range(2):  # as from the terminal and from torchrun
                os.kill(os.getpid(), signal.SIGTERM)


def train(name, *callbacks, resume_from=None, run=None, **settings):
    settings = {"save_strategy": "no", "per_device_train_batch_size": 4, "ddp_backend": "gloo", **settings}
    arguments = config(folder / (run or name), max_steps=num_steps, optim="adamw_torch", **settings)
    trainer = AlumTrainer(
        model=classifier(), args=arguments, train_dataset=labelled_sentences(24), callbacks=list(callbacks)
    )
    trainer.train(resume_from_checkpoint=resume_from)
    stop = next((callback for callback in callbacks if isinstance(callback, StopCleanly)), StopCleanly())
    weights = {key: value.tolist() for key, value in trainer.model.state_dict().items()}
    outcome = {"step": stop.stopped_at_step, "code": stop.exit_code, "weights": weights}
    (folder / f"{name}-{rank}.json").write_text(json.dumps(outcome))


train("undisturbed", save_strategy="steps", save_steps=5)
train("signalled", SignalledTwice(), StopCleanly())
train("resumed", run="signalled", resume_from=True)
train("timed", StopCleanly(max_minutes=None if rank else 1e-9))
train("by_the_minute", SaveEveryMinutes(1e-9 if rank else 1000.0))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two-processes")
    script = folder / "train.py"
    script.write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]), "OMP_NUM_THREADS": "1"}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    finished = subprocess.run(
        [*launcher, str(script), str(folder), str(NUM_STEPS)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert finished.returncode == 0, finished.stderr[-4000:]
    return folder


def outcomes(folder, name):
    return [json.loads((folder / f"{name}-{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.slow
def test_the_checkpoint_of_two_processes_is_whole_and_has_the_random_states_of_both(folder):
    checkpoints = checkpoints_in(folder / "undisturbed")
    assert [path.name for path in checkpoints] == ["checkpoint-5", "checkpoint-10", "checkpoint-12"]
    for checkpoint in checkpoints:
        assert damage(checkpoint) is None
        assert {"rng_state_0.pth", "rng_state_1.pth"} <= {path.name for path in checkpoint.iterdir()}
    assert not (folder / "undisturbed" / ".drafts").exists()


@pytest.mark.slow
def test_a_signal_to_one_process_stops_both_at_the_same_step(folder):
    """They ask each other at steps 4, 8 and 12, and the signal comes in step 5."""
    assert [(outcome["step"], outcome["code"]) for outcome in outcomes(folder, "signalled")] == [(8, 143), (8, 143)]
    assert damage(folder / "signalled" / "checkpoint-8") is None


@pytest.mark.slow
def test_two_processes_go_on_as_if_nothing_had_been(folder):
    resumed, undisturbed = outcomes(folder, "resumed"), outcomes(folder, "undisturbed")
    assert resumed[0]["weights"] == resumed[1]["weights"] == undisturbed[0]["weights"]


@pytest.mark.slow
def test_the_clock_of_one_process_stops_both(folder):
    assert [(outcome["step"], outcome["code"]) for outcome in outcomes(folder, "timed")] == [(4, 3), (4, 3)]


@pytest.mark.slow
def test_the_clock_of_one_process_has_both_save(folder):
    """An epoch has three steps; at its last step the checkpoint waits for the next agreement."""
    names = [path.name for path in checkpoints_in(folder / "by_the_minute")]
    assert names == ["checkpoint-4", "checkpoint-8", "checkpoint-12"]
    assert all(damage(path) is None for path in checkpoints_in(folder / "by_the_minute"))
