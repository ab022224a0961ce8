"""What it costs that glibc gives large tensors back to the system, and asks for them again. ``make bench`` runs it.

Each training runs in two processes, with glibc's own settings and with `KEEPING`, and they take turns: the settings
hold for a whole process, and for its main thread otherwise than for others. Figures go into ``cost.json``.
``--rehearse`` tries it all with tiny models.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import torch
from transformers import BertForMaskedLM, BertForSequenceClassification, PreTrainedModel, TrainerCallback

from alum.training.config import AlumConfig
from alum.training.trainer import AlumTrainer
from benchmarks.harness import Seconds, timing
from benchmarks.places import ROOT
from benchmarks.records import Record, parser, progress, write_part
from benchmarks.trainings import STEPPED, bert_config, train_silently

KEEPING = {  # no tensor by mmap, nothing given back, one heap for all threads
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 36),
    "MALLOC_ARENA_MAX": "1",
}
WARM_STEPS = 3


@dataclass(frozen=True)
class Case:
    """A training on random words, in the main thread of a process of its own."""

    stage: str
    method: str
    num_layers: int
    hidden_size: int
    length_tokens: int
    batch_size: int = 16
    vocab_size: int = 30522

    @property
    def name(self) -> str:
        return f"{self.stage} {self.num_layers}x{self.hidden_size}, {self.method}"


CASES = [Case("pre-training", method, 2, 128, 128) for method in ("standard", "alum_one_pass")]
CASES += [Case("fine-tuning", method, 6, 384, 32) for method in ("standard", "alum_one_pass")]
REHEARSAL = [Case("pre-training", "alum_one_pass", 1, 32, 16, batch_size=2, vocab_size=100)]


# -- the process that trains -------------------------------------------------------------------------------------------


class Told(TrainerCallback):
    """Waits before each step for a line, and answers with its seconds and the most memory that the process has held."""

    def on_step_begin(self, *_: object, **__: object) -> None:
        if not sys.stdin.readline():
            os._exit(0)
        self.start, self.start_of_work = time.perf_counter(), time.process_time()

    def on_step_end(self, *_: object, **__: object) -> None:
        seconds = (time.perf_counter() - self.start, time.process_time() - self.start_of_work)
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({"seconds": seconds, "resident_bytes": 1024 * kilobytes}), flush=True)


def train_when_told(case: Case) -> None:
    """Takes a step for each line that comes in."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(case.vocab_size, (4 * case.batch_size, case.length_tokens), generator=generator)
    config = bert_config(case.vocab_size, case.hidden_size, case.num_layers)
    model: PreTrainedModel
    if case.stage == "pre-training":
        labels = torch.where(torch.rand(ids.shape, generator=generator) < 0.15, ids, -100)
        model = BertForMaskedLM(config)
    else:
        labels = ids[:, 0] % 2
        model = BertForSequenceClassification(config)
    rows = [
        {"input_ids": row, "attention_mask": torch.ones_like(row), "labels": label}
        for row, label in zip(ids, labels, strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder:
        arguments = AlumConfig(
            output_dir=folder, adv_method=case.method, per_device_train_batch_size=case.batch_size, **STEPPED
        )
        train_silently(AlumTrainer(model, arguments, train_dataset=rows, callbacks=[Told()]))


class TrainingProcess:
    """Another process that trains, with some settings of the environment. Use it in ``with``."""

    def __init__(self, case: Case, settings: dict[str, str]) -> None:
        self._command = [sys.executable, "-m", "benchmarks.allocator", "--case", json.dumps(asdict(case))]
        self._environment = {**os.environ, **settings}
        self.resident_bytes = 0

    def __enter__(self) -> "TrainingProcess":
        self._process = subprocess.Popen(
            self._command, env=self._environment, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def step(self) -> Seconds:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process has ended: {' '.join(self._command)}")
        answer = json.loads(line)
        self.resident_bytes = answer["resident_bytes"]
        return Seconds(*answer["seconds"])


# -- comparing ---------------------------------------------------------------------------------------------------------


def measured(case: Case, num_rounds: int) -> dict[str, Any]:
    """Times and memory with both settings; the first steps, in which the heap grows, are not timed."""
    progress(f"allocator: {case.name}")
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(TrainingProcess(case, settings))
            for name, settings in (("usual", {}), ("keeping", KEEPING))
        }
        turns: dict[str, list[Seconds]] = {name: [] for name in processes}
        for number in range(WARM_STEPS + num_rounds):
            for name in sorted(processes, reverse=number % 2 == 0):
                turns[name].append(processes[name].step())
        timed = {name: seconds[WARM_STEPS:] for name, seconds in turns.items()}
        found = {
            name: {**timing(timed[name], timed["usual"]), "resident_bytes": process.resident_bytes}
            for name, process in processes.items()
        }
    return {"case": case.name, **found}


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--case", help="train it when told by the standard input (the benchmark starts it itself)")
    given = flags.parse_args()
    if given.case:
        train_when_told(Case(**json.loads(given.case)))
    elif platform.libc_ver()[0] != "glibc":
        progress("allocator: left out, since only glibc has these settings")
    else:
        record, (cases, num_rounds) = Record(), (REHEARSAL, 2) if given.rehearse else (CASES, 15)
        rows = [measured(case, num_rounds) for case in cases]
        write_part(given.output_dir, "allocator", record.with_results(rows=rows, settings=KEEPING))


if __name__ == "__main__":
    main()
