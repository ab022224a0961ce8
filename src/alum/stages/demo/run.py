"""Demo run: pre-trains, continues, fine-tunes and attacks, on text that every machine has.

The text is the documentation of the packages that alum depends on; the task is to tell which package a passage
documents, with the names of packages and modules masked out.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from alum.core.errors import InputError
from alum.core.methods import method_named
from alum.data.files import read_json_object
from alum.data.visible_console import VisibleConsole
from alum.data.visible_text import print_visible
from alum.data.writing import write_text
from alum.reports.exports import AttackedTexts
from alum.reports.numbers import MISSING, gain_text, metric_text
from alum.reports.tables import show_table
from alum.stages.demo.arguments import DemoArguments
from alum.stages.demo.docstrings import DOCUMENTED_PACKAGES, Passage, module_names, passages_of, split_of, without_names
from alum.stages.evaluation.arguments import EvaluateArguments
from alum.stages.evaluation.run import GAIN_EPSILON, GAIN_METHODS, EvaluateResult, evaluate
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.config import FinetuneConfig
from alum.stages.finetuning.result import FinetuneResult
from alum.stages.finetuning.run import finetune
from alum.stages.held_folder import held
from alum.stages.pretraining.arguments import PretrainArguments
from alum.stages.pretraining.config import PretrainConfig
from alum.stages.pretraining.run import PretrainResult, pretrain
from alum.stages.runs.environment import environment
from alum.stages.runs.folder import RESULTS, RUN, opened_or_resumed, write_json
from alum.stages.runs.stopping import Interrupted, exit_code_of, terminated_by_exception

PARTS = ("pretrain", "continual", "finetune", "evaluate", "total_seconds", "environment")
HELD_BACK_PACKAGE = "pandas"  # its text is kept for continual pre-training
PGD_EPSILON = 0.03
TOLD_APART = ("networkx", "pandas", "sympy", "torch")  # the labels of the task


@dataclass(frozen=True)
class Scale:
    """Size of the demo: `FAST` takes about two minutes of processor time on x86-64, `FULL` three times that."""

    passages_per_package: int
    pretrain_steps: int
    continual_steps: int
    finetune_rows_per_package: int
    finetune_epochs: int
    eval_rows: int
    vocab_size: int = 8192
    max_seq_length: int = 64


FULL = Scale(2500, 240, 40, 900, 2, 400)
FAST = Scale(800, 40, 10, 300, 2, 160)


def demo(arguments: DemoArguments) -> dict[str, Any]:
    """Runs all stages and prints tables; models and records are kept in ``output_dir``, numbers in ``results.json``.

    Where it was stopped, the same call goes on with the stage at hand; where it was finished, it shows its tables.
    """
    method_named(arguments.adv_method)
    was_begun = not arguments.overwrite_output_dir and (Path(arguments.output_dir) / RUN).is_file()
    opened = opened_or_resumed(
        arguments.output_dir, arguments.overwrite_output_dir, "demo", lambda: True, arguments=arguments
    )
    with held(arguments.output_dir), opened as folder, _told_to_go_on(folder):
        console, is_finished = VisibleConsole(), (folder / RESULTS).exists()
        if is_finished:
            results = _former(folder)
            print_visible(
                f"The demo in {folder} was finished before, with alum {results['environment']['alum']}: nothing is run "
                "again, and these are its tables. For a new one give --overwrite_output_dir, which moves this folder "
                "aside, or remove it."
            )
        else:
            results = json.loads(json.dumps(_run(arguments, folder, console), default=vars))
            if was_begun:
                results["total_seconds"] = None  # of what a killed process did nobody knows
            write_json(folder / RESULTS, results)
        _show(console, results)
        seconds = results["total_seconds"]
        took = "It was stopped on the way" if seconds is None else f"{seconds:.0f} seconds in all"
        print_visible(f"{took}. Models and records are in {folder}, the report in {folder}/evaluated.")
        return results


@contextmanager
def _told_to_go_on(folder: Path) -> Iterator[None]:
    """Ends the demo in a line where Ctrl-C or SIGTERM stops it between or within its stages."""
    try:
        with terminated_by_exception():
            yield
    except KeyboardInterrupt as stop:
        message = f"stopped. What is finished is kept in {folder}: the same command goes on."
        raise Interrupted(message, exit_code_of(stop)) from None


def _former(folder: Path) -> dict[str, Any]:
    """Results of a finished demo; raises `InputError` where another version wrote them, in another form."""
    results = read_json_object(folder / RESULTS)
    if results.keys() != set(PARTS):
        raise InputError(f"{folder / RESULTS} was written by another version: start anew by --overwrite_output_dir.")
    return results


def _run(arguments: DemoArguments, folder: Path, console: Console) -> dict[str, Any]:
    scale, start = FAST if arguments.fast else FULL, time.perf_counter()
    console.print(f"[bold]1/4[/] Reading the documentation of {', '.join(DOCUMENTED_PACKAGES)}")
    _write_data(folder, scale, arguments.seed, console)

    console.print(
        f"[bold]2/4[/] Pre-training from scratch: {scale.pretrain_steps} steps, the adversary enters half way; "
        f"then continuing on {HELD_BACK_PACKAGE}"
    )
    scratch, continual = _pretrain_twice(folder, scale, arguments)

    arms = ("standard", arguments.adv_method)
    console.print(f"[bold]3/4[/] Fine-tuning twice: {arms[0]} and {arms[1]}")
    tuned = {arm: _finetune(folder, scale, arguments, arm) for arm in arms}

    console.print("[bold]4/4[/] Evaluating both: clean, with typing errors, under attack")
    measured = _evaluate(folder, scale, arguments, list(tuned))
    parts = (scratch, continual, tuned, measured.results, time.perf_counter() - start, environment())
    return dict(zip(PARTS, parts, strict=True))


def _write_data(folder: Path, scale: Scale, seed: int, console: Console) -> None:
    passages: list[Passage] = []
    for package in track(DOCUMENTED_PACKAGES, "Reading", console=console, transient=True):
        passages += passages_of(package, scale.passages_per_package, seed)
    names = module_names(passages)
    data = folder / "data"
    data.mkdir(exist_ok=True)
    for name, held_back in (("general", False), ("held_back", True)):
        for split in ("train", "validation"):
            texts = [
                p.text
                for p in passages
                if (p.package == HELD_BACK_PACKAGE) == held_back
                and (split_of(p) == "validation") == (split != "train")
                # Nothing that a test passage says is ever trained on.
                and split_of(p) != "test"
            ]
            write_text(data / f"{name}_{split}.txt", "\n\n".join(texts))
    wanted = {
        "train": scale.finetune_rows_per_package,
        "validation": scale.eval_rows // len(TOLD_APART),
        "test": scale.eval_rows // len(TOLD_APART),
    }
    (data / "packages").mkdir(exist_ok=True)
    for split, per_package in wanted.items():
        lines, taken = [], Counter[str]()
        for passage in passages:
            if passage.package not in TOLD_APART or split_of(passage) != split:
                continue
            if taken[passage.package] < per_package:
                taken[passage.package] += 1
                row = {"text": without_names(passage, names), "package": passage.package}
                lines.append(json.dumps(row) + "\n")
        write_text(data / "packages" / f"{split}.jsonl", "".join(lines))
    characters = sum(len(p.text) for p in passages)
    console.print(f"    {len(passages)} passages, {characters / 1e6:.1f} million characters")


def _pretrain_twice(folder: Path, scale: Scale, arguments: DemoArguments) -> tuple[PretrainResult, PretrainResult]:
    def run(name: str, text: str, steps: int, **settings: Any) -> PretrainResult:
        model = settings.pop("model_name_or_path", None)
        data = folder / "data"
        return pretrain(
            PretrainArguments(
                train_file=[str(data / f"{text}_train.txt")],
                validation_file=[str(data / f"{text}_validation.txt")],
                cache_dir=str(folder / "cache"),
                model_name_or_path=model,
                vocab_size=scale.vocab_size,
                max_seq_length=scale.max_seq_length,
                max_eval_samples=256,
            ),
            PretrainConfig(
                output_dir=str(folder / name),
                max_steps=steps,
                save_strategy="no",
                resume_from_checkpoint="auto",
                logging_steps=max(steps // 4, 1),
                learning_rate=1e-3,
                adv_method=arguments.adv_method,
                seed=arguments.seed,
                count_flops_every=40,
                **settings,
            ),
        )

    scratch = run("pretrained", "general", scale.pretrain_steps, adv_start_fraction=0.5)
    continual = run("continued", "held_back", scale.continual_steps, model_name_or_path=str(folder / "pretrained"))
    return scratch, continual


def _finetune(folder: Path, scale: Scale, arguments: DemoArguments, method: str) -> FinetuneResult:
    return finetune(
        FinetuneArguments(
            model_name_or_path=str(folder / "continued"),
            data_dir=str(folder / "data" / "packages"),
            text_columns="text",
            label_column="package",
            max_seq_length=scale.max_seq_length,
        ),
        FinetuneConfig(
            output_dir=str(folder / f"finetuned_{method}"),
            adv_method=method,
            num_train_epochs=scale.finetune_epochs,
            learning_rate=1e-3,
            per_device_train_batch_size=32,
            save_strategy="no",
            resume_from_checkpoint="auto",
            logging_steps=25,
            seed=arguments.seed,
            count_flops_every=40,
        ),
    )


def _evaluate(folder: Path, scale: Scale, arguments: DemoArguments, methods: Sequence[str]) -> EvaluateResult:
    return evaluate(
        EvaluateArguments(
            model_name_or_path=[f"{method}={folder / f'finetuned_{method}'}" for method in methods],
            output_dir=str(folder / "evaluated"),
            validation_file=str(folder / "data" / "packages" / "test.jsonl"),
            text_columns="text",
            label_column="package",
            max_seq_length=scale.max_seq_length,
            epsilons=[PGD_EPSILON],
            num_steps=5,
            adversarial_gain=True,
            seed=arguments.seed,
        )
    )


def _show(console: Console, results: Mapping[str, Any]) -> None:
    stages = (("from scratch", results["pretrain"]), (f"continued on {HELD_BACK_PACKAGE}", results["continual"]))
    tuned, measured = results["finetune"], EvaluateResult(results["evaluate"], None, AttackedTexts([]))
    show_table(
        "Masked-language-model loss on held-back text (nats per predicted token)",
        ("stage", "before", "after", "gain", "seconds", "TFLOP"),
        [
            [
                name,
                *(f"{r[scores]['validation']['loss']:.3f}" for scores in ("metrics_before", "metrics")),
                _last_gain(r),
                *_cost(r),
            ]
            for name, r in stages
        ],
        console,
    )
    show_table(
        f"Which of {len(TOLD_APART)} packages does a passage document? Accuracy, and the cost of fine-tuning",
        ("method", "clean", "typing errors", "PGD", "gain", "seconds", "TFLOP"),
        [
            [
                arm,
                *(metric_text("accuracy", accuracy) for accuracy in _accuracies(measured, arm)),
                _last_gain(tuned[arm]),
                *_cost(tuned[arm]),
            ]
            for arm in tuned
        ],
        console,
    )
    gains = {
        (row["method"], row["model"]): f"{gain_text(row['gain'], row['divergence'])} ({row['divergence']:.0e})"
        for row in measured.results["gains"]
    }
    show_table(
        f"Adversarial gain at relative epsilon {GAIN_EPSILON}: times the divergence of random noise of the same length "
        "(the divergence in brackets; below 1e-9 it is rounding)",
        ("perturbation", *(f"on the {arm} model" for arm in tuned)),
        [[method, *(gains[method, arm] for arm in tuned)] for method in GAIN_METHODS],
        console,
    )


def _accuracies(measured: EvaluateResult, arm: str) -> tuple[float, float, float]:
    """Accuracies of the model of one method: clean, with typing errors, and under PGD."""
    return (
        measured.score("accuracy", model=arm),
        measured.score("robust_accuracy", "typing", model=arm),
        measured.score("robust_accuracy", "pgd", PGD_EPSILON, model=arm),
    )


def _last_gain(result: Mapping[str, Any]) -> str:
    """Adversarial gain at the end of a training, as text."""
    gain = result["last_gain"]
    return MISSING if gain is None else gain_text(gain["gain"], gain["divergence"])


def _cost(result: Mapping[str, Any]) -> tuple[str, str]:
    return f"{result['train_seconds']:.0f}", f"{(result['train_flops'] or 0) / 1e12:.2f}"
