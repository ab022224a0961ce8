"""What leaving padding out saves, on real rows in batches by chance and grouped by length.

    python -m benchmarks.padding [--rehearse]

A step is forward and backward of MiniLM-L6 by `AlumStep` on one batch, without the optimizer, with padding and without
in turns. Figures are medians over batches, each seen once; FLOPs are counted by PyTorch.
"""

import random
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from alum.data.table_files import load_table
from alum.models.hooks.padding_free import PaddingFree
from alum.training.step import AlumStep
from benchmarks.pages import Page
from benchmarks.places import DATA, DOCS, minilm, needed
from benchmarks.records import Record, parser, progress
from benchmarks.tables import conditions, markdown_table

NUM_ROWS = 1600


class Rows(NamedTuple):
    folder: str
    columns: tuple[str, ...]
    batch_size: int = 16


ROWS = (Rows("glue_sst2", ("sentence",)), Rows("snli_sample", ("premise", "hypothesis")),
        Rows("squad_sample", ("question", "context"), 4))  # fmt: skip
CASES = [(rows, order, "standard") for rows in ROWS for order in ("by chance", "by length")]


def batches(rows: Rows, order: str, data: Path, tokenizer: Any, max_length: int) -> Iterator[dict[str, torch.Tensor]]:
    """Padded batches of a data set's first rows, in an order by chance or, as training groups them, by length."""
    table = load_table(str(needed(data / rows.folder) / "train.jsonl"), list(rows.columns))
    columns = [list(table[name])[:NUM_ROWS] for name in rows.columns]
    encoded = tokenizer(*columns, truncation=True, max_length=max_length)["input_ids"]
    random.Random(0).shuffle(encoded)
    if order == "by length":
        encoded.sort(key=len)
    parts = [encoded[i : i + rows.batch_size] for i in range(0, len(encoded) - rows.batch_size, rows.batch_size)]
    random.Random(1).shuffle(parts)
    for part in parts:
        batch = dict(tokenizer.pad({"input_ids": part}, return_tensors="pt"))
        yield {**batch, "labels": torch.zeros(len(part), dtype=torch.long)}


def measured(case: tuple[Rows, str, str], num_batches: int, data: Path, folder: str) -> dict[str, Any]:
    """Ratios of a step without padding to one with it: medians over batches."""
    rows, order, method = case
    model = AutoModelForSequenceClassification.from_pretrained(folder).train()
    step, turns = AlumStep(model, method), []
    tokenizer, max_length = AutoTokenizer.from_pretrained(folder), min(384, model.config.max_position_embeddings)
    batch_by_batch = batches(rows, order, data, tokenizer, max_length)
    for number, batch in zip(range(num_batches + 1), batch_by_batch, strict=False):
        of_batch = {"padding": 1 - float(batch["attention_mask"].float().mean())}
        for name in ("padded", "free") if number % 2 else ("free", "padded"):
            running = PaddingFree(model) if name == "free" else None
            of_batch |= {f"{name}_{figure}": value for figure, value in _cost(step, batch).items()}
            if running is not None:
                running.remove()
        if number:  # the first warms up
            turns.append(of_batch)
    return {
        "rows": rows.folder, "batch_size": rows.batch_size, "order": order, "method": method, "num_batches": len(turns),
        "padding": statistics.median(turn["padding"] for turn in turns),
        **{
            figure: statistics.median(turn[f"free_{figure}"] / turn[f"padded_{figure}"] for turn in turns)
            for figure in ("seconds", "processor_seconds", "flops")
        },
        "slowest": max(turn["free_processor_seconds"] / turn["padded_processor_seconds"] for turn in turns),
    }  # fmt: skip


def _cost(step: AlumStep, batch: Mapping[str, torch.Tensor]) -> dict[str, float]:
    begin, begin_of_work = time.perf_counter(), time.process_time()
    step(batch)
    found = {"seconds": time.perf_counter() - begin, "processor_seconds": time.process_time() - begin_of_work}
    step.model.zero_grad()
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        step.model(**batch)
    return {**found, "flops": float(counted.get_total_flops())}


def parts(record: Mapping[str, Any]) -> dict[str, str]:
    return {"conditions": conditions(record, "python -m benchmarks.padding"), "padding": _table(record["cases"])}


def _table(cases: Sequence[Mapping[str, Any]]) -> str:
    found = [
        [
            case["rows"], f"{case['order']}", case["method"], str(case["batch_size"]), f"{case['padding']:.0%}",
            f"{case['flops']:.2f}", f"{case['processor_seconds']:.2f}",
            f"{case['slowest']:.2f}", f"{1 / case['seconds']:.2f}",
        ]
        for case in cases
    ]  # fmt: skip
    header = ["rows", "batches", "method", "rows in one", "padding", "FLOPs of a pass", "processor time", "worst batch",
              "tokens per second"]  # fmt: skip
    return markdown_table(header, found, num_text_columns=3)


PAGE = Page(DOCS / "benchmarks" / "padding.md", parts)


def main() -> None:
    known = parser(__doc__)
    known.add_argument("--model", help="folder of a BERT model with its tokenizer (default: MiniLM-L6)")
    known.add_argument("--data", type=Path, default=DATA, help="folder that holds the tasks")
    flags = known.parse_args()
    torch.set_num_threads(1)
    record, cases = Record(), []
    for case in CASES[:1] if flags.rehearse else CASES:
        num_batches = 1 if flags.rehearse else 3
        cases.append(measured(case, num_batches, flags.data, flags.model or minilm()))
        progress(str(cases[-1]))
    PAGE.write_with(record.with_results(cases=cases), flags.output_dir)


if __name__ == "__main__":
    main()
