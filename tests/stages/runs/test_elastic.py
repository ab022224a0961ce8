"""One of two processes under torchrun is killed: both are started again, and they end as if nothing had been."""

import json
import os
import subprocess
import sys

import pytest

from places import TESTS
from tiny_stages import save_untrained
from tiny_texts import opinions, write_rows, write_text

TRAINING = {
    "max_steps": 8,
    "per_device_train_batch_size": 4,
    "learning_rate": 1e-3,
    "logging_steps": 1,
    "save_steps": 3,
    "max_seq_length": 16,
    "adv_gain_draws": 1,
    "resume_from_checkpoint": "auto",
    "use_cpu": True,
    "disable_tqdm": True,
}
ROWS = {"text_columns": "text", "label_column": "label"}
OPINIONS = {"train_file": "inputs/rows.jsonl", "validation_file": "inputs/rows.jsonl", "max_eval_samples": 12, **ROWS}
COMMANDS = {
    "fine-tuning": ("finetune", {"model_name_or_path": "inputs/model", "adv_method": "alum", **OPINIONS}),
    "pre-training, masked": (
        "pretrain",
        {
            "train_file": "inputs/text.txt",
            "cache_dir": "cache",
            "architecture": "bert-tiny",
            "vocab_size": 200,
            "adv_method": "noise",
            "adv_start_fraction": 0.25,
            "max_eval_samples": 8,
        },
    ),
}
KILLED_AT_STEP = 4  # after the checkpoint of step 3, and before the next

SCRIPT = f"""
import os, signal, sys

from alum.cli.main import main
from alum.training.trainer import AlumTrainer

step = AlumTrainer.training_step


def killed_once(trainer, *args, **kwargs):
    is_first_try = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
    if is_first_try and os.environ["RANK"] == "1" and trainer.state.global_step == {KILLED_AT_STEP}:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(trainer, *args, **kwargs)


if "KILL" in os.environ:
    AlumTrainer.training_step = killed_once
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("elastic")
    save_untrained(folder / "inputs" / "model")
    write_rows(folder / "inputs" / "rows.jsonl", opinions())
    write_text(folder / "inputs" / "text.txt")
    (folder / "train.py").write_text(SCRIPT)
    return folder


ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]),
    "OMP_NUM_THREADS": "1",
    # Else processes that are started again find the addresses of the former ones (pytorch#167288).
    "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
}


def run(folder, name, output, **environment):
    command, settings = COMMANDS[name]
    words = [word for key, value in {**settings, **TRAINING}.items() for word in (f"--{key}", str(value))]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1"]
    done = subprocess.run(
        [sys.executable, *launcher, "train.py", command, *words, "--output_dir", output],
        cwd=folder,
        env={**os.environ, **ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.count(f"Open {output}/README.md") == 1  # by one of the two
    return done.stderr


def losses(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: (line["loss"], line["adversarial_loss"]) for line in lines if "adversarial_loss" in line}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "name",
    [pytest.param("fine-tuning", marks=pytest.mark.slow), pytest.param("pre-training, masked", marks=pytest.mark.slow)],
)
def test_a_killed_process_is_started_again_and_ends_as_an_undisturbed_one(folder, name):
    kind = COMMANDS[name][0]
    undisturbed, killed = folder / f"{kind}-undisturbed", folder / f"{kind}-killed"
    run(folder, name, undisturbed.name)
    output = run(folder, name, killed.name, KILL="1")
    assert "exitcode: -9" in output  # as torchrun says it
    weights = [(place / "model.safetensors").read_bytes() for place in (undisturbed, killed)]
    assert weights[0] == weights[1]
    assert losses(killed) == losses(undisturbed)
    assert {KILLED_AT_STEP, KILLED_AT_STEP + 1, TRAINING["max_steps"]} <= losses(killed).keys()
