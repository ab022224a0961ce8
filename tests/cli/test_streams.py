"""Ctrl-C at any time, and output that nobody reads or that has no space: no traceback, and the customary exit codes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from alum.cli.main import main
from alum.cli.streams import interruptible_once
from tiny_texts import write_text

FULL = Path("/dev/full")
LISTS = (["--help"], ["--version"], ["tasks"], ["suites"], ["methods"], ["finetune", "--help"])
ALUM = [sys.executable, "-m", "alum"]


@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_output_that_nobody_reads_ends_a_command_quietly(words):
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run([*ALUM, *words], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGPIPE, "")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_a_full_disk_for_the_output_is_told_in_a_line(words):
    with FULL.open("w") as full:
        ended = subprocess.run([*ALUM, *words], stdout=full, stderr=subprocess.PIPE, text=True)
    assert ended.returncode == 2
    assert ended.stderr.startswith("alum: error: standard output cannot be written: No space left on device.")
    assert ended.stderr.count("\n") == 1


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_an_error_that_cannot_be_told_is_in_the_exit_code():
    with FULL.open("w") as full:
        assert subprocess.run([*ALUM, "nothing"], stderr=full).returncode == 2


def test_without_a_standard_output_there_is_nothing_to_fail():
    command = f"exec {sys.executable} -m alum tasks >&-"
    ended = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


WAITING = """
import sys
from alum.cli.main import main
from alum.cli import commands

commands.run = lambda *_: (print("step 50/250"), sys.stdin.read())
main()
"""


def test_a_line_of_the_log_is_in_a_pipe_while_the_command_goes_on():
    with subprocess.Popen(
        [sys.executable, "-c", WAITING, "finetune"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as waiting:
        assert waiting.stdout.readline() == "step 50/250\n"
        assert waiting.poll() is None
        waiting.stdin.close()
    assert waiting.returncode == 0


INTERRUPTED_AT = """
import signal, sys
from alum.__main__ import start

class Interrupting:
    def find_spec(self, name, *_):
        if name == {!r}:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
sys.exit(start())
"""


@pytest.mark.parametrize("module", ["alum.cli.main", "alum.core.errors", "logging", "alum.reports.tables"])
def test_an_interrupt_while_modules_are_imported_ends_it_in_a_line(module):
    command = [sys.executable, "-c", INTERRUPTED_AT.format(module), "suites"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "alum: stopped.\n")


def test_the_first_interrupt_is_an_exception_and_the_second_ends_the_process():
    with interruptible_once(to_the_end=False):
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


def test_an_interrupt_within_a_callback_is_not_lost(capfd):
    class Interrupting:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    def make_one_and_wait():
        Interrupting()
        time.sleep(5)

    with interruptible_once(to_the_end=False), pytest.raises(KeyboardInterrupt):
        make_one_and_wait()
    assert capfd.readouterr().err == ""


def test_an_interrupt_while_torch_is_imported_ends_the_process(tmp_path):
    """Raised within the start of its C++ parts, it would abort; here one comes in the midst of such an import."""
    (tmp_path / "torch.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\nprint('went on')\n")
    command = "from alum.cli.streams import interruptible_once\nwith interruptible_once(True):\n    import torch"
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    ended = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, env=variables)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "alum: stopped.\n")


def test_a_call_from_python_leaves_the_handler(capsys):
    assert main(["--version"]) == 0
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert main(["--version"]) == 0
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def interrupted(folder, seconds, seconds_between, *flags):
    """Exit code and standard error of a training that all its processes, as by a terminal, get Ctrl-C in.

    It comes when the training has had so many seconds of a processor: on a busy machine it begins later.
    """
    words = ["pretrain", "--train_file", write_text(folder / "text.txt"), "--output_dir", folder / "out", "--use_cpu"]
    words += ["--vocab_size", "200", "--max_seq_length", "16", "--max_steps", "5000", *flags]
    process = subprocess.Popen(
        [*ALUM, *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    used = psutil.Process(process.pid)
    while process.poll() is None and used.cpu_times().user + used.cpu_times().system < seconds:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    if seconds_between is not None:
        time.sleep(seconds_between)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=500)
    return process.returncode, error


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "seconds", "seconds_between"),
    [
        *(
            pytest.param((), *times, id=f"one process-{times}")
            for times in ((0.4, None), (2, 0.2), (4, None), (8, 0.2))
        ),
        *(
            pytest.param(("--dataloader_num_workers", "2"), *times, id=f"with workers-{times}")
            for times in ((0.4, 0.2), (2, None), (4, 0.2), (8, None))
        ),
    ],
)
def test_ctrl_c_at_any_time_is_quiet(tmp_path, seconds, seconds_between, flags):
    code, error = interrupted(tmp_path, seconds, seconds_between, *flags)
    assert code in (130, -signal.SIGINT)
    assert "Traceback" not in error
    assert "ignored" not in error
