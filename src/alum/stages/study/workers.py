"""Work on a study's missing cells, here or in processes side by side, which end when the study does."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from alum.core.errors import InputError
from alum.stages.runs.stopping import Interrupted
from alum.stages.study.cells.cell_run import run_cell
from alum.stages.study.cells.ledger import Cell, Ledger
from alum.stages.study.inputs import StudyInputs
from alum.stages.study.planning import StudyPlan
from alum.training.callbacks import Diverged

LOGS = "logs"
_Done = Callable[[Cell, float], None]


@dataclass
class Failures:
    """Cells whose training failed, by key, each with its error; they are not tried again in the same call."""

    errors: dict[str, str] = field(default_factory=dict)

    def of(self, cell: Cell, error: str, folder: Path) -> None:
        self.errors[cell.key] = f"{cell.described()}: {error.strip().splitlines()[-1]}"
        with (folder / LOGS / "failed.txt").open("a", encoding="utf-8") as file:
            file.write(f"{cell.described()}\n{error}\n")


def work_off(plan: StudyPlan, num_workers: int, done: _Done) -> Failures:
    """Trains and measures cells until none is missing, and calls ``done`` with each and its seconds.

    A cell that fails is left out, and told of; one that cannot be run raises `InputError`. One worker works in this
    process, several in processes of their own, each with one thread.
    """
    (plan.ledger.folder / LOGS).mkdir(exist_ok=True)
    return _here(plan, done) if num_workers == 1 else _side_by_side(plan, num_workers, done)


def _here(plan: StudyPlan, done: _Done) -> Failures:
    failures = Failures()
    while cells := [cell for cell in plan.missing() if cell.key not in failures.errors]:
        cell, start = cells[0], time.perf_counter()
        log = plan.ledger.folder / LOGS / "worker-1.txt"
        with log.open("a", encoding="utf-8") as file, contextlib.redirect_stdout(file):
            error = _tried(cell, plan.inputs, plan.study.keep_models)
        if error is None:
            done(cell, time.perf_counter() - start)
        else:
            failures.of(cell, error, plan.ledger.folder)
    return failures


def _tried(cell: Cell, inputs: StudyInputs, keep_model: bool) -> str | None:
    """Runs a cell; returns why its training diverged, or the traceback where it failed; None where it is done."""
    try:
        run_cell(cell, inputs, Ledger(inputs.folder), keep_model)
    except Diverged as error:
        return str(error)
    except InputError as error:
        raise InputError(f"{cell.described()}: {error}") from None
    except Interrupted:
        raise
    except Exception:
        return traceback.format_exc()
    return None


# -- processes ---------------------------------------------------------------------------------------------------------


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    cell: Cell | None = None
    start: float = 0.0

    def give(self, cell: Cell) -> None:
        self.cell, self.start = cell, time.perf_counter()
        self.connection.send(cell)


def _side_by_side(plan: StudyPlan, num_workers: int, done: _Done) -> Failures:
    failures, workers = Failures(), list[_Worker]()
    try:
        while True:
            busy = {worker.cell.key for worker in workers if worker.cell is not None}
            cells = [cell for cell in plan.missing() if cell.key not in failures.errors and cell.key not in busy]
            for cell in cells[: num_workers - len(busy)]:
                idle = next((worker for worker in workers if worker.cell is None), None)
                if idle is None:
                    idle = _started(plan, len(workers) + 1)
                    workers.append(idle)
                idle.give(cell)
            if not any(worker.cell for worker in workers):
                return failures
            _hear(workers, plan, failures, done)
    finally:
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.process.join()


def _started(plan: StudyPlan, number: int) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    log = plan.ledger.folder / LOGS / f"worker-{number}.txt"
    process = context.Process(
        target=_serve, args=(theirs, plan.inputs, plan.study.keep_models, str(log)), name=f"alum study {number}"
    )
    # A terminal's Ctrl-C goes to all processes; the study ends its workers itself. What is blocked here, they inherit.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    return _Worker(process, ours)


def _hear(workers: list[_Worker], plan: StudyPlan, failures: Failures, done: _Done) -> None:
    """Waits until a worker has done something, and takes note of it; one that has ended is let go."""
    ready = wait([worker.connection for worker in workers if worker.cell is not None])
    for worker in [worker for worker in workers if worker.connection in ready]:
        cell = worker.cell
        assert cell is not None
        worker.cell = None
        try:
            is_input, error = worker.connection.recv()
        except EOFError:
            worker.process.join()
            workers.remove(worker)
            is_input, error = False, f"its process ended with exit code {worker.process.exitcode}"
        if is_input:
            raise InputError(error)
        if error is None:
            done(cell, time.perf_counter() - worker.start)
        else:
            failures.of(cell, error, plan.ledger.folder)


def _serve(connection: Connection, inputs: StudyInputs, keep_model: bool, log: str) -> None:
    """Life of a worker: runs the cells that it is sent, and answers whether the input was at fault, and the error."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import torch
    from datasets import disable_progress_bars

    torch.set_num_threads(1)
    disable_progress_bars()
    with open(log, "a", encoding="utf-8") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    while True:
        try:
            cell = connection.recv()
        except EOFError:
            return
        try:
            answer = (False, _tried(cell, inputs, keep_model))
        except InputError as error:
            answer = (True, str(error))
        connection.send(answer)


def _end_with_parent() -> None:
    """Ends this process, whatever it does, when the one that started it has been killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
