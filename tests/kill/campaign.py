"""Many cases of killed runs, each a few forks of one process that has imported everything, and what came of each."""

import contextlib
import gc
import importlib
import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from alum.stages.demo import run as demo_run
from kill.attempts import attempt, trace
from kill.cases import Case, cases_of
from kill.comparing import differences
from kill.events import Event
from kill.runs import DEMO, INPUTS, OUTPUT, RUNS, Run, write_inputs

MAY_END_WITH = {0, 130, 143, -2, -9, -15}
"""Exit codes of an attempt that was dealt a blow."""
_MOST_ATTEMPTS = 3
_BY_NAME = {run.name: run for run in RUNS}


@dataclass(frozen=True)
class Outcome:
    """What became of a case: whether the run went on to its end, and what is not as the undisturbed one left it."""

    run: str
    stage: str
    number: int
    blows: list[dict[str, Any]]
    attempts: list[dict[str, Any]]
    num_signals: int
    went_on: bool
    faults: list[str]
    differences: list[str]
    seconds: float

    @property
    def is_faulty(self) -> bool:
        return bool(self.faults or self.differences or not self.went_on)


@dataclass(frozen=True)
class Traced:
    """An undisturbed run: the folder that it left, and the cases that follow from its events."""

    folder: Path
    events: list[Event]
    seconds: float
    cases: list[Case]


def prepared(folder: Path, runs: Sequence[Run], seed: int) -> dict[str, Traced]:
    """Writes what the runs read, and runs each undisturbed: twice, since the first time modules are imported.

    What was in the folder is removed.
    """
    demo_run.FAST, demo_run.DOCUMENTED_PACKAGES = DEMO, demo_run.TOLD_APART
    os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    shutil.rmtree(folder, ignore_errors=True)
    _in_a_fork(write_inputs, folder / INPUTS)
    return {run.name: _traced(folder, run, seed) for run in runs}


def _traced(folder: Path, run: Run, seed: int) -> Traced:
    for _ in range(2):
        place = _place(folder, f"undisturbed-{RUNS.index(run)}")
        start = time.perf_counter()
        ended, events, modules = trace(run.command(False), place)
        seconds = time.perf_counter() - start
        if ended.code != 0:
            raise RuntimeError(f"{run.name} cannot be done undisturbed: {ended.code}, {ended.said}")
        for module in modules:
            with contextlib.suppress(Exception):
                importlib.import_module(module)
        gc.freeze()  # the Trainer collects garbage, and would look through all modules each time
    return Traced(place, events, seconds, cases_of(run.name, events, seconds, seed))


def campaign(
    folder: Path, traced: Mapping[str, Traced], num_cases: int, num_processes: int, ledger: Path
) -> Iterator[Outcome]:
    """Yields outcomes of the first cases of each run, first those in the ledger, to which the others are added."""
    known = {(one["run"], one["number"]): Outcome(**one) for one in _lines(ledger)}
    in_turn = chain.from_iterable(zip_longest(*(one.cases for one in traced.values())))
    wanted = [case for case in in_turn if case is not None][:num_cases]
    yield from (known[case.run, case.number] for case in wanted if (case.run, case.number) in known)
    left = [(folder, case, traced[case.run].folder) for case in wanted if (case.run, case.number) not in known]
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("fork").Pool(num_processes) as pool, ledger.open("a") as file:
        for outcome in pool.imap_unordered(_outcome_of, left):
            file.write(json.dumps(asdict(outcome)) + "\n")
            file.flush()
            yield outcome


def _outcome_of(given: tuple[Path, Case, Path]) -> Outcome:
    folder, case, expected = given
    run, start = _BY_NAME[case.run], time.perf_counter()
    place = _place(folder, f"case-{os.getpid()}")
    attempts, faults = [], []
    for number in range(len(case.blows) + _MOST_ATTEMPTS):
        blow = case.blows[number] if number < len(case.blows) else None
        one = attempt(run.command(number > 0), place, blow)
        attempts.append(one)
        if one.code == 0 and (blow is None or number + 1 == len(case.blows)):
            break
        if one.code not in MAY_END_WITH or (blow is None and one.num_signals == 0):
            faults.append(f"exit code {one.code}: {one.said}")
        if blow is None:
            break
    went_on = attempts[-1].code == 0
    is_stopped = run.stage != "evaluation" and any(one.code in (130, 143) for one in attempts)
    found = differences(place / OUTPUT, expected / OUTPUT, is_stopped) if went_on else []
    shutil.rmtree(place)
    return Outcome(
        run=run.name,
        stage=run.stage,
        number=case.number,
        blows=[asdict(blow) for blow in case.blows],
        attempts=[asdict(one) for one in attempts],
        num_signals=sum(one.num_signals for one in attempts),
        went_on=went_on,
        faults=faults,
        differences=found,
        seconds=round(time.perf_counter() - start, 2),
    )


def _place(folder: Path, name: str) -> Path:
    place = folder / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    (place / INPUTS).symlink_to(folder / INPUTS)
    return place


def _in_a_fork(work: Any, *given: Any) -> None:
    process = multiprocessing.get_context("fork").Process(target=_quietly, args=(work, *given))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{work.__name__} ended with {process.exitcode}")


def _quietly(work: Any, *given: Any) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    work(*given)


def _lines(ledger: Path) -> list[dict[str, Any]]:
    """Lines of the ledger; one that was cut short is dropped."""
    if not ledger.is_file():
        return []
    text = ledger.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        ledger.write_text(whole)
    return [json.loads(line) for line in whole.splitlines()]
