"""Signals to a running command: Ctrl-C as a user presses it, SIGTERM as a scheduler sends it."""

import json
import re
import signal
import subprocess
import sys

import pytest

from tiny_stages import log_lines
from tiny_texts import write_text

MAX_STEPS = 200
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


def alum(folder, *flags):
    """Starts ``alum pretrain`` on a text that takes it some seconds."""
    command = "import sys; from alum.cli.main import main; sys.exit(main())"
    settings = {
        "train_file": folder / "text.txt",
        "output_dir": folder / "run",
        "max_steps": MAX_STEPS,
        "vocab_size": 200,
        "max_seq_length": 16,
        "per_device_train_batch_size": 8,
        "save_strategy": "no",
        "logging_steps": 5,
        "adv_start_fraction": 0.1,
    }
    words = [str(word) for name, value in settings.items() for word in (f"--{name}", value)]
    return subprocess.Popen(
        [sys.executable, "-c", command, "pretrain", *words, "--use_cpu", *flags],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_for_step(process, folder, step):
    while process.poll() is None:
        file = folder / "run" / "metrics.jsonl"
        logged = file.read_text().splitlines(keepends=True) if file.exists() else []
        if any(line.endswith("\n") and json.loads(line)["step"] >= step for line in logged):
            return
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue


def losses(folder):
    return {line["step"]: line["loss"] for line in log_lines(folder / "run" / "metrics.jsonl") if "loss" in line}


@pytest.mark.slow
def test_an_interrupted_run_goes_on_to_the_very_same_model(tmp_path):
    folders = {name: tmp_path / name for name in ("undisturbed", "interrupted")}
    for folder in folders.values():
        folder.mkdir()
        write_text(folder / "text.txt")
    undisturbed = alum(folders["undisturbed"])
    assert undisturbed.wait() == 0, undisturbed.stderr.read()

    folder = folders["interrupted"]
    stops = []
    for number, code in CODES.items():
        process = alum(folder, "--resume_from_checkpoint", "true") if stops else alum(folder)
        wait_for_step(process, folder, (stops[-1] if stops else 0) + 40)
        process.send_signal(number)
        _, error = process.communicate()
        assert process.returncode == code, error
        how = "The same command goes on" if stops else "Go on with --resume_from_checkpoint true"
        stopped = re.search(rf"^alum: stopped at step (\d+) of {MAX_STEPS}; .*\. {how}\.$", error, re.MULTILINE)
        assert stopped, error
        assert "Traceback" not in error
        stops.append(int(stopped[1]))
        assert (folder / "run" / f"checkpoint-{stops[-1]}").is_dir()
        assert not (folder / "run" / "model.safetensors").exists()
    assert 40 <= stops[0] < stops[1] < MAX_STEPS

    resumed = alum(folder, "--resume_from_checkpoint", "true")
    assert resumed.wait() == 0, resumed.stderr.read()
    weights = [(folder / "run" / "model.safetensors").read_bytes() for folder in folders.values()]
    assert weights[0] == weights[1]
    assert losses(folders["interrupted"]) == losses(folders["undisturbed"])
