"""What it costs that glibc gives large tensors back to the system, and asks for them again. ``make bench`` runs it.

Each training runs in two processes, with glibc's own settings and with `KEEPING`, and they take turns: the settings
hold for a whole process, and for its main thread otherwise than for others. Figures go into ``cost.json``.
``--rehearse`` tries it all with tiny models.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness import Seconds, timing
from records import Record, conditions, markdown_table, progress, write_part

ROOT = Path(__file__).resolve().parent.parent
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


def train_when_told(case: Case) -> None:
    """Takes a step for each line that comes in, and answers with its seconds and the most memory that it has held."""
    import torch
    from transformers import (
        BertConfig,
        BertForMaskedLM,
        BertForSequenceClassification,
        TrainerCallback,
    )
    from transformers.trainer_callback import PrinterCallback

    from alum.training.config import AlumConfig
    from alum.training.trainer import AlumTrainer

    class Told(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if not sys.stdin.readline():
                os._exit(0)
            self.start, self.start_of_work = time.perf_counter(), time.process_time()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            seconds = (time.perf_counter() - self.start, time.process_time() - self.start_of_work)
            kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            print(json.dumps({"seconds": seconds, "resident_bytes": 1024 * kilobytes}), flush=True)

    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(case.vocab_size, (4 * case.batch_size, case.length_tokens), generator=generator)
    if case.stage == "pre-training":
        labels = torch.where(torch.rand(ids.shape, generator=generator) < 0.15, ids, -100)
    else:
        labels = ids[:, 0] % 2
    config = BertConfig(
        vocab_size=case.vocab_size,
        hidden_size=case.hidden_size,
        intermediate_size=4 * case.hidden_size,
        num_hidden_layers=case.num_layers,
        num_attention_heads=max(case.hidden_size // 32, 1),
    )
    model_class = BertForMaskedLM if case.stage == "pre-training" else BertForSequenceClassification
    with tempfile.TemporaryDirectory() as folder:
        arguments = AlumConfig(
            output_dir=folder,
            adv_method=case.method,
            per_device_train_batch_size=case.batch_size,
            max_steps=100_000,  # more than are taken
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
        )
        rows = [
            {"input_ids": row, "attention_mask": torch.ones_like(row), "labels": label}
            for row, label in zip(ids, labels, strict=True)
        ]
        trainer = AlumTrainer(model_class(config), arguments, train_dataset=rows, callbacks=[Told()])
        trainer.remove_callback(PrinterCallback)
        trainer.train()


class TrainingProcess:
    """Another process that trains, with some settings of the environment. Use it in ``with``."""

    def __init__(self, case: Case, settings: dict[str, str]) -> None:
        self._command = [sys.executable, __file__, "--case", json.dumps(asdict(case))]
        self._environment = {**os.environ, **settings}
        self.resident_bytes = 0

    def __enter__(self) -> "TrainingProcess":
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
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


# -- its part of the page ----------------------------------------------------------------------------------------------


def blocks(record: Mapping[str, Any]) -> list[str]:
    settings = " ".join(f"{name}={value}" for name, value in record["settings"].items())
    cells = [
        (
            row["case"],
            f"{row['usual']['processor_seconds']:.3f}",
            f"{row['keeping']['processor_seconds']:.3f}",
            f"{row['keeping']['processor_ratio']:.2f}",
            f"{row['keeping']['median_of_ratios']:.2f}",
            f"{row['usual']['resident_bytes'] / 1e6:.0f}",
            f"{row['keeping']['resident_bytes'] / 1e6:.0f}",
        )
        for row in record["rows"]
    ]
    header = [
        "", "processor seconds, usual", "keeping", "ratio", "ratio of times", "resident MB, usual", "keeping",
    ]  # fmt: skip
    return [
        "## Memory that is kept",
        "glibc, the C library of most Linux systems, takes tensors above 32 MB from the system one by one and gives "
        "each back at once, so that every step pays for the same pages again. Where the logits of a vocabulary or the "
        "gradient of a table of embeddings are that large, it is faster to keep them:",
        f"    {settings} alum pretrain ...",
        "Freed memory then stays with the process, in pieces that do not always fit what is asked for next, so that it "
        "grows somewhat larger. `alum` does not set this by itself for that reason.",
        conditions(record, "make bench"),
        markdown_table(header, cells),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output_dir", type=Path, default=ROOT / "docs" / "benchmarks", help="folder for the figures")
    parser.add_argument("--rehearse", action="store_true", help="a tiny model and few steps")
    parser.add_argument("--case", help="train it when told by the standard input (the benchmark starts it itself)")
    given = parser.parse_args()
    if given.case:
        train_when_told(Case(**json.loads(given.case)))
    elif platform.libc_ver()[0] != "glibc":
        progress("allocator: left out, since only glibc has these settings")
    else:
        record, (cases, num_rounds) = Record(), (REHEARSAL, 2) if given.rehearse else (CASES, 15)
        rows = [measured(case, num_rounds) for case in cases]
        write_part(given.output_dir / "cost.json", "allocator", record.with_results(rows=rows, settings=KEEPING))


if __name__ == "__main__":
    main()
