"""Runs commands of alum in forks of one process that has torch imported, and kills them at moments that are named.

    python killed_runs.py < orders.jsonl

A line of JSON has a folder and attempts, each ``[place, words, moment]``: the command's words are run in the folder
``place`` of that and killed at the moment, or never where that is null. Moments are ``["step", 7]``, in the middle of
the step after 7 others; ``["before", NAME]`` and ``["after", NAME]``, as a file or folder gets its name, or the n-th
time that one does with a third entry. The exit codes are printed as a line of JSON, and what a command said is in the
file ``said-NUMBER.txt`` of ``place``.
"""

import gc
import json
import os
import signal
import sys
from pathlib import Path

from alum.cli import commands  # noqa: F401
from alum.cli.main import main
from alum.stages.finetuning import run as finetuning  # noqa: F401
from alum.stages.pretraining import run as pretraining  # noqa: F401
from alum.training.trainer import AlumTrainer


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def kill_in_step(step):
    training_step = AlumTrainer.training_step

    def fatal(self, *args, **kwargs):
        loss = training_step(self, *args, **kwargs)
        if self.state.global_step == step:
            die()
        return loss

    AlumTrainer.training_step = fatal


def kill_at_name(when, name, number=1):
    count = 0

    def fatal(rename):
        def renamed(source, target, *args, **kwargs):
            nonlocal count
            is_it = Path(target).name == name
            count += is_it
            if is_it and when == "before" and count == number:
                die()
            rename(source, target, *args, **kwargs)
            if is_it and when == "after" and count == number:
                die()

        return renamed

    os.replace, os.rename = fatal(os.replace), fatal(os.rename)


def attempt(folder, number, place, words, moment):
    (folder / place).mkdir(exist_ok=True)
    if pid := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.chdir(folder / place)
    said = os.open(f"said-{number}.txt", os.O_WRONLY | os.O_CREAT)
    os.dup2(said, 1)
    os.dup2(said, 2)
    if moment and moment[0] == "step":
        kill_in_step(moment[1])
    elif moment:
        kill_at_name(*moment)
    code = main([str(word) for word in words])
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    gc.freeze()  # the Trainer collects garbage after training: looking through all modules takes longer
    for line in sys.stdin:
        folder, attempts = json.loads(line)
        print(json.dumps([attempt(Path(folder), number, *one) for number, one in enumerate(attempts)]), flush=True)
