"""What must hold of any invocation, however bad: an exit code of 0 or 2, one clear line, nothing left behind."""

import contextlib
import io
import json
import os
import re
import resource
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alum.cli.main import main
from fuzz.invocations import Invocation

TIMEOUT_SECONDS = 60
"""Of the processor: other programs on the machine make nothing wrong."""
MEMORY_BYTES = 12 * 2**30
_LONGEST_LINE = 2000
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


class TooLong(BaseException):
    """Not an `Exception`, which a command would explain."""


def limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def faults_of(made: Invocation, folder: Path) -> tuple[list[str], str]:
    """Runs an invocation in its folder; returns what is wrong about its outcome, and the last line that it said."""
    output, said = io.StringIO(), io.StringIO()
    code: Any
    with _within(folder), contextlib.redirect_stdout(output), contextlib.redirect_stderr(said):
        try:
            with _time_limit():
                code = main(made.words)
        except SystemExit as stopped:
            code = stopped.code or 0
        except TooLong:
            code = f"more than {TIMEOUT_SECONDS} s"
        except BaseException as error:
            code = f"{type(error).__name__}: {error}"
    lines = said.getvalue().strip().splitlines()
    last = lines[-1] if lines else ""
    return list(_faults(code, output.getvalue() + said.getvalue(), last, folder)), f"{code}: {last}"


def _faults(code: Any, text: str, last: str, folder: Path) -> Iterator[str]:
    if code not in (0, 2):
        yield "exit code"
    if "Traceback (most recent call last)" in text:
        yield "traceback"
    if code == 2:
        if not last.startswith("alum: error: ") and "usage: alum" not in text:
            yield "no line of ours"
        if len(last) > _LONGEST_LINE:
            yield "long line"
        if (folder / "out").exists():
            yield "folder left behind"
    if _CONTROLS.search(text):
        yield "control characters"
    for record in (*folder.glob("out/*.json"), folder / "plan.json"):
        if record.is_file() and not _is_json(record):
            yield f"{record.name} is not JSON"


def _is_json(record: Path) -> bool:
    """Whether a record is JSON, which has neither NaN nor infinities."""
    try:
        json.loads(record.read_bytes(), parse_constant=_refuse)
    except ValueError:
        return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(constant)


@contextlib.contextmanager
def _within(folder: Path) -> Iterator[None]:
    before, variables = Path.cwd(), dict(os.environ)
    os.chdir(folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(variables)


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TooLong

    former = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, TIMEOUT_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, former)
