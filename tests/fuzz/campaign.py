"""Many invocations in processes of their own, so that one that ends the interpreter ends nothing else."""

import contextlib
import multiprocessing
import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

from fuzz.good import write_good_files
from fuzz.invocations import invocation
from fuzz.outcomes import TIMEOUT_SECONDS, faults_of, limit_memory

_STUCK_SECONDS = 20 * TIMEOUT_SECONDS


@dataclass(frozen=True)
class Outcome:
    """An invocation's command line, what was wrong about it, and what is wrong about its outcome, if anything."""

    number: int
    line: str
    wrong: list[str]
    faults: list[str]
    said: str


def campaign(seed: int, numbers: range, num_processes: int, folder: Path) -> Iterator[Outcome]:
    """Yields the outcome of each invocation as it is known."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    write_good_files(folder / "good")
    waiting = iter(numbers)
    workers = [_Worker(seed, folder) for _ in range(num_processes)]
    for worker in workers:
        worker.take(next(waiting, None))
    while busy := [worker for worker in workers if worker.number is not None]:
        ready = wait([worker.pipe for worker in busy], timeout=1)
        for worker in busy:
            if worker.pipe in ready or worker.is_stuck():
                yield worker.outcome()
                worker.take(next(waiting, None))
    for worker in workers:
        worker.stop()


class _Worker:
    def __init__(self, seed: int, folder: Path) -> None:
        self._seed, self._folder = seed, folder
        self.number: int | None = None
        self._start()

    def _start(self) -> None:
        self.pipe, theirs = multiprocessing.get_context("spawn").Pipe()
        arguments = (theirs, self._seed, self._folder)
        self._process = multiprocessing.get_context("spawn").Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def take(self, number: int | None) -> None:
        self.number, self._since = number, time.monotonic()
        if number is not None:
            self.pipe.send(number)

    def is_stuck(self) -> bool:
        """Waits for something that takes no time of a processor, or in code that no signal ends."""
        return time.monotonic() - self._since > _STUCK_SECONDS

    def outcome(self) -> Outcome:
        assert self.number is not None
        with contextlib.suppress(EOFError, ConnectionError):
            if self.pipe.poll():
                found: Outcome = self.pipe.recv()
                return found
        self.stop()
        number, code = self.number, self._process.exitcode
        self._start()
        with tempfile.TemporaryDirectory() as place:
            made = invocation(self._seed, number, self._folder / "good", Path(place) / "case")
        return Outcome(number, _line(made.words), made.wrong, ["the interpreter ended"], f"exit code {code}")

    def stop(self) -> None:
        self._process.kill()
        self._process.join()


def _serve(pipe: Connection, seed: int, folder: Path) -> None:
    limit_memory()
    with open(os.devnull, "w") as nowhere:  # of libraries that write there themselves
        os.dup2(nowhere.fileno(), 2)
    while True:
        number = pipe.recv()
        place = folder / f"case-{number}"
        made = invocation(seed, number, folder / "good", place)
        faults, said = faults_of(made, place)
        shutil.rmtree(place, ignore_errors=True)
        pipe.send(Outcome(number, _line(made.words), made.wrong, faults, said))


def _line(words: list[str]) -> str:
    return ascii(shlex.join(["alum", *words]))[1:-1]
