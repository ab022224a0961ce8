"""An attempt at a command in a process of its own, forked from one that has imported all, and the blow that it gets."""

import contextlib
import errno
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from alum.cli.main import main
from kill.events import Event, watch

TIMEOUT_SECONDS = 300
FULL_DISK = "full disk"
Aim = Literal["before an event", "after an event", "any moment"]


@dataclass(frozen=True)
class Blow:
    """A signal, and when it comes.

    ``before an event`` the process deals it to itself, so that exactly what came earlier has been done. ``after`` it is
    dealt from outside, ``seconds`` later, within the time that passes until the next one. ``any moment`` is so many
    seconds after the start. A ``second`` signal follows it by ``second_seconds``.

    `FULL_DISK` is no signal: from the event on no file can be opened for writing, and no folder made.
    """

    signal: str
    aim: Aim
    event: int | None
    seconds: float = 0.0
    second: str | None = None
    second_seconds: float = 0.0


@dataclass(frozen=True)
class Attempt:
    """How an attempt ended: its exit code, minus the signal's number where one ended it, and what it said last."""

    code: int
    num_signals: int
    """Signals that were dealt while it lived."""
    at: str | None
    """Event that the blow was aimed at."""
    said: str


@dataclass(frozen=True)
class Started:
    """A process that runs a command, and the pipe on which it tells that it has met the event of its blow."""

    pid: int
    told: int
    folder: Path
    blow: Blow | None

    def met(self) -> str | None:
        """Waits for the event that the blow is aimed at; None where the process ended without it."""
        select.select([self.told], [], [], TIMEOUT_SECONDS)
        return os.read(self.told, 4096).decode(errors="replace").strip() or None

    def ended(self) -> Attempt:
        """Deals the blow, and waits for the end."""
        try:
            num_signals, at = (0, None) if self.blow is None else self._dealt(self.blow)
            code = _wait(self.pid)
        finally:
            os.close(self.told)
        return Attempt(code, num_signals, at, _last_line(self.folder))

    def _dealt(self, blow: Blow) -> tuple[int, str | None]:
        """How many signals the process has met, and the event."""
        num_signals, at = 0, None
        if blow.event is not None:
            at = self.met()
            if at is None:
                return 0, None
        if blow.aim == "before an event":
            num_signals = 1
        else:
            time.sleep(blow.seconds)
            num_signals += _send(self.pid, blow.signal)
        if blow.second is not None:
            time.sleep(blow.second_seconds)
            num_signals += _send(self.pid, blow.second)
        return num_signals, at


def start(words: Sequence[str], folder: Path, blow: Blow | None = None, is_traced: bool = False) -> Started:
    """Starts a command in a folder."""
    told, telling = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(told)
        _run(words, folder, blow, telling, is_traced)
    os.close(telling)
    return Started(pid, told, folder, blow)


def attempt(words: Sequence[str], folder: Path, blow: Blow | None = None) -> Attempt:
    """Runs a command in a folder to its end, or to the end that a blow puts to it."""
    return start(words, folder, blow).ended()


def trace(words: Sequence[str], folder: Path) -> tuple[Attempt, list[Event], list[str]]:
    """Runs a command undisturbed; gives its events too, and the modules that it imported."""
    started = start(words, folder, is_traced=True)
    with open(started.told, closefd=False) as pipe:
        lines = pipe.read().splitlines()
    events = [Event(int(n), what, path, float(s)) for n, what, path, s in (x.split("\t") for x in lines if "\t" in x)]
    return started.ended(), events, [line for line in lines if "\t" not in line]


def _last_line(folder: Path) -> str:
    file = folder / "said.txt"
    lines = file.read_text(errors="replace").splitlines() if file.is_file() else []
    return lines[-1][:400] if lines else ""


def _run(words: Sequence[str], folder: Path, blow: Blow | None, telling: int, is_traced: bool) -> None:
    """Never returns."""
    code = 1
    try:
        os.chdir(folder)
        (folder / "temporary").mkdir(exist_ok=True)
        os.environ |= {"TMPDIR": str(folder / "temporary"), "ALUM_CACHE": str(folder / "cache")}
        output = os.open("said.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if is_traced:
            watch(folder, lambda e: _tell(telling, f"{e.number}\t{e.what}\t{e.path}\t{e.seconds}\n"))
        elif blow is not None and blow.event is not None:
            watch(folder, lambda event: _struck(event, blow, telling))
        code = main(words)
        if is_traced:
            _tell(telling, "".join(f"{name}\n" for name in list(sys.modules)))
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _struck(event: Event, blow: Blow, telling: int) -> None:
    if blow.signal == FULL_DISK and blow.event is not None and event.number > blow.event:
        _refuse(event)
    if event.number != blow.event:
        return
    _tell(telling, f"{event.what} {event.path}\n")
    if blow.signal == FULL_DISK:
        _refuse(event)
    elif blow.aim == "before an event":
        os.kill(os.getpid(), getattr(signal, blow.signal))


def _refuse(event: Event) -> None:
    if event.what in ("open", "os.mkdir"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), event.path)


def _tell(pipe: int, text: str) -> None:
    data = text.encode()
    while data:
        data = data[os.write(pipe, data) :]


def _send(pid: int, name: str) -> int:
    """Whether the process, which has not been waited for, was still alive."""
    if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
        return 0
    os.kill(pid, getattr(signal, name))
    return 1


def _wait(pid: int) -> int:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return -99
        time.sleep(0.01)
