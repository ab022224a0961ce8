"""Demo run: pre-trains, continues, fine-tunes and attacks, on text that every machine has.

The text is the documentation of the packages that alum depends on; the task is to tell which package a passage
documents, with the names of packages and modules masked out.
"""

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from alum.core.methods import method_named
from alum.data.writing import write_text
from alum.reports.numbers import MISSING, gain_text, metric_text
from alum.reports.tables import show_table
from alum.stages.demo.arguments import DemoArguments
from alum.stages.demo.docstrings import DOCUMENTED_PACKAGES, Passage, module_names, passages_of, split_of, without_names
from alum.stages.evaluation.arguments import EvaluateArguments
from alum.stages.evaluation.run import GAIN_EPSILON, GAIN_METHODS, EvaluateResult, evaluate
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.config import FinetuneConfig
from alum.stages.finetuning.run import FinetuneResult, finetune
from alum.stages.pretraining.arguments import PretrainArguments
from alum.stages.pretraining.config import PretrainConfig
from alum.stages.pretraining.run import PretrainResult, pretrain
from alum.stages.runs.environment import environment
from alum.stages.runs.folder import open_run_folder, write_json

HELD_BACK_PACKAGE = "pandas"  # its text is kept for continual pre-training
PGD_EPSILON = 0.03
TOLD_APART = ("networkx", "pandas", "sympy", "torch")  # the labels of the task


@dataclass(frozen=True)
class Scale:
    """Size of the demo: `FULL` is for 6 minutes, `FAST` for 90 seconds, on two cores of 15 GFLOP/s each."""

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
    """Runs all stages and prints tables; models and records are kept in ``output_dir``, numbers in ``results.json``."""
    method_named(arguments.adv_method)
    folder, _ = open_run_folder(arguments.output_dir, arguments.overwrite_output_dir)
    scale, console, start = FAST if arguments.fast else FULL, Console(), time.perf_counter()
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
    seconds = time.perf_counter() - start
    results = {
        "pretrain": scratch,
        "continual": continual,
        "finetune": tuned,
        "evaluate": measured.results,
        "total_seconds": seconds,
        "environment": environment(),
    }
    write_json(folder / "results.json", json.loads(json.dumps(results, default=vars)))
    _show(console, scratch, continual, tuned, measured)
    console.print(
        f"{seconds:.0f} seconds in all. Models and records are in {folder}, the report in {folder}/evaluated."
    )
    return results


def _write_data(folder: Path, scale: Scale, seed: int, console: Console) -> None:
    passages: list[Passage] = []
    for package in track(DOCUMENTED_PACKAGES, "Reading", console=console, transient=True):
        passages += passages_of(package, scale.passages_per_package, seed)
    names = module_names(passages)
    data = folder / "data"
    data.mkdir()
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
    (data / "packages").mkdir()
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


def _show(
    console: Console,
    scratch: PretrainResult,
    continual: PretrainResult,
    tuned: dict[str, FinetuneResult],
    measured: EvaluateResult,
) -> None:
    show_table(
        "Masked-language-model loss on held-back text (nats per predicted token)",
        ("stage", "before", "after", "gain", "seconds", "TFLOP"),
        [
            [
                name,
                *(f"{scores['validation']['loss']:.3f}" for scores in (r.metrics_before, r.metrics)),
                _last_gain(r),
                *_cost(r),
            ]
            for name, r in (("from scratch", scratch), (f"continued on {HELD_BACK_PACKAGE}", continual))
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


def _last_gain(result: PretrainResult | FinetuneResult) -> str:
    """Adversarial gain at the end of a training, as text."""
    gain = result.last_gain
    return MISSING if gain is None else gain_text(gain["gain"], gain["divergence"])


def _cost(result: PretrainResult | FinetuneResult) -> tuple[str, str]:
    return f"{result.train_seconds:.0f}", f"{(result.train_flops or 0) / 1e12:.2f}"
