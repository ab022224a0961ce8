"""Pre-training that goes on with another number of processes: each step has the rows that it would have had."""

import json
import os
import subprocess
import sys

import pytest

from places import TESTS
from tiny_stages import save_untrained
from tiny_texts import write_text

NUM_STEPS = 12  # of eight rows; of 40 cached ones, in epochs of five steps

SCRIPT = """
import json, os, sys
from collections import defaultdict
from pathlib import Path

import torch

from alum.data.pretraining import packing
from alum.stages.pretraining.run import pretrain
from alum.training.language_modeling import LanguageModelTrainer
from tiny_stages import pretrain_arguments, pretrain_config

torch.set_num_threads(1)
packing.SHUFFLE_BUFFER_ROWS = 30
folder, rank = Path(sys.argv[1]), os.environ.get("RANK", "0")
rows = defaultdict(list)
supervised = LanguageModelTrainer._supervised


def noted(self, batches):
    def all_noted():
        for batch in batches:
            rows[self.state.global_step].append(batch["input_ids"].tolist())
            yield batch

    return supervised(self, all_noted())


LanguageModelTrainer._supervised = noted
for name, before, streaming, batch_size, accumulation in json.loads(sys.argv[2]):
    rows.clear()
    arguments = {
        "train_file": [str(folder / "0.txt"), str(folder / "1.txt")],
        "train_weights": [2.0, 1.0],
        "validation_file": [str(folder / "0.txt")],
        "model_name_or_path": str(folder / "model"),
        "cache_dir": str(folder / "cache"),
        "streaming": streaming,
    }
    config = {
        "max_steps": 12,
        "per_device_train_batch_size": batch_size,
        "gradient_accumulation_steps": accumulation,
        "save_strategy": "steps",
        "save_steps": 7,
        "save_total_limit": None,
        **({"ddp_backend": "gloo"} if "RANK" in os.environ else {}),
    }
    if not streaming:
        arguments["max_train_samples"] = 40
    if before:
        config["resume_from_checkpoint"] = str(folder / before / "checkpoint-7")
    pretrain(pretrain_arguments(folder / "0.txt", **arguments), pretrain_config(folder / name, **config))
    (folder / f"{name}-{rank}.json").write_text(json.dumps(rows))
"""


def launched(folder, num_processes, runs):
    """Runs, each a name, the run whose checkpoint it goes on from, whether text is streamed, and its batches."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]), "OMP_NUM_THREADS": "1"}
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"] if num_processes > 1 else []
    command = [sys.executable, *launcher, str(folder / "train.py"), str(folder), json.dumps(runs)]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
    assert finished.returncode == 0, finished.stderr[-4000:]
    return finished.stderr + finished.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    for seed in (0, 1):
        write_text(folder / f"{seed}.txt", seed=seed)
    save_untrained(folder / "model")
    (folder / "train.py").write_text(SCRIPT)
    kinds = (("cached", False), ("streamed", True))
    launched(folder, 1, [(f"{kind}-one", None, streaming, 8, 1) for kind, streaming in kinds])
    two = [(f"{kind}-two", None, streaming, 4, 1) for kind, streaming in kinds]
    two_on = [(f"{kind}-one-then-two", f"{kind}-one", streaming, 2, 2) for kind, streaming in kinds]
    launched(folder, 2, two + two_on)
    said = launched(folder, 1, [(f"{kind}-two-then-one", f"{kind}-two", streaming, 4, 2) for kind, streaming in kinds])
    (folder / "said.txt").write_text(said)
    return folder


def rows_of(folder, name):
    """The rows of each step, in the order of its micro-batches and, within these, of its processes."""
    files = sorted(folder.glob(f"{name}-[01].json"))
    found = [json.loads(file.read_text()) for file in files]
    return {
        int(step): [
            row for batches in zip(*(one[step] for one in found), strict=True) for rows in batches for row in rows
        ]
        for step in found[0]
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cached", "streamed"])
def test_steps_have_the_same_rows_on_one_process_and_on_two(folder, kind):
    one, two = rows_of(folder, f"{kind}-one"), rows_of(folder, f"{kind}-two")
    assert list(one) == list(range(NUM_STEPS))
    assert {len(rows) for rows in one.values()} == {8}
    assert one == two
    assert len({str(rows) for rows in one.values()}) == NUM_STEPS


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cached", "streamed"])
@pytest.mark.parametrize("name", ["one-then-two", "two-then-one"])
def test_a_run_goes_on_with_another_number_of_processes(folder, kind, name):
    whole, resumed = rows_of(folder, f"{kind}-one"), rows_of(folder, f"{kind}-{name}")
    assert resumed == {step: whole[step] for step in range(7, NUM_STEPS)}


@pytest.mark.slow
def test_each_epoch_has_every_cached_row_once_and_another_order(folder):
    rows = rows_of(folder, "cached-one")
    first, second = ([str(row) for step in steps for row in rows[step]] for steps in (range(5), range(5, 10)))
    assert sorted(first) == sorted(second)
    assert first != second


@pytest.mark.slow
def test_what_is_another_from_then_on_is_told(folder):
    assert "goes on with its rows spread otherwise" in (folder / "said.txt").read_text().replace("\n", " ")
