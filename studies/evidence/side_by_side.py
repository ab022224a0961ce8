"""Trainings side by side, each arm after the one that it is to match, and each finished one kept at once."""

import multiprocessing
import time
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from datetime import date
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from alum.stages.runs.environment import environment
from benchmarks.records import machine
from studies.evidence import ledger
from studies.evidence.jobs import Job
from studies.evidence.training import OutOfTimeError


def train(
    jobs: Sequence[Job], file: Path, known: Sequence[Path], prepared: Path, num_processes: int, deadline: float
) -> None:
    """Trains what no ledger has, each arm after its reference, as many at a time as there are processes."""
    done = ledger.known([file, *known])
    start, waiting = time.time(), [job for job in jobs if job.key not in done]
    running: dict[Future[dict[str, Any]], Job] = {}
    facts = {
        "date": str(date.today()),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else machine()["processor"],
        "environment": environment(),
    }
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_processes, context, initializer=_initialized) as pool:
        while True:
            for job in list(waiting):
                if len(running) < num_processes and (job.reference is None or job.reference in done):
                    reference = done[job.reference] if job.reference else None
                    running[pool.submit(job.run, prepared, reference, deadline)] = job
                    waiting.remove(job)
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(future)
                if record := _result(future, job):
                    done[job.key] = {**record, **facts}
                    ledger.append(file, done[job.key])
                    print(f"{time.time() - start:5.0f} s  {_line(record)}", flush=True)
                elif time.time() > deadline:
                    waiting.clear()
    print(f"{len(waiting)} of {len(jobs)} trainings are left.", flush=True)


def _initialized() -> None:
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("high")
    logging.disable_progress_bar()
    logging.set_verbosity_error()


def _result(future: Future[dict[str, Any]], job: Job) -> dict[str, Any] | None:
    try:
        return future.result()
    except OutOfTimeError as error:
        print(error, flush=True)
    except Exception:
        print(f"{job.key}:", flush=True)
        traceback.print_exc()
    return None


def _line(record: Mapping[str, Any]) -> str:
    name = f"{record['study']}, seed {record['seed']}, {record['arm']}: "
    best = record["epochs"][record["best_epoch"] - 1] if "epochs" in record else record
    if "validation" in best:
        score = f"validation {best['validation']['loss']:.4f}, test {best['test']['loss']:.4f}"
    else:
        test = best["test"]
        pgd = ", ".join(f"{found['accuracy']:.3f}" for found in best["pgd"])
        score = f"NLL {test['negative_log_likelihood']:.4f}, accuracy {test['accuracy']:.4f}, PGD {pgd}"
    strength = f"D {record['mean_divergence']:.4g} at ε {record['median_radius']:.3g}"
    return f"{name}{score} at epoch {record['best_epoch']}, {strength}, {record['seconds']:.0f} s"
