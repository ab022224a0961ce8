"""One cell of a study: trains it, measures it on the test rows, and writes its record last."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from alum.stages.evaluation.arguments import EvaluateArguments
from alum.stages.evaluation.measurements import EvaluationRun
from alum.stages.evaluation.plan import plan_of
from alum.stages.evaluation.progress import EvaluationProgress
from alum.stages.finetuning.run import finetune
from alum.stages.runs.environment import environment
from alum.stages.study.inputs import StudyInputs
from alum.stages.study.ledger import Cell, Ledger

MEASURED, MODEL = "measured", "model"
_WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.pth")


def run_cell(cell: Cell, inputs: StudyInputs, ledger: Ledger, keep_model: bool) -> None:
    """Trains and measures a cell in its folder of the ledger; what a run that was killed has left there is removed."""
    place = ledger.place(cell.key)
    shutil.rmtree(place, ignore_errors=True)
    result = finetune(cell.arguments(str(inputs.data_dir(cell.task))), cell.config(str(place)))
    conditions = [] if cell.evaluation is None else _measure(cell, inputs, place)
    record = {
        "key": cell.key,
        "settings": dict(cell.settings),
        "seed": cell.seed,
        "data": dict(cell.data),
        "model": cell.model,
        "evaluation": cell.evaluation,
        "conditions": conditions,
        "label_names": result.label_names,
        "metrics": result.metrics,
        "num_steps": result.num_steps,
        "train_flops": result.train_flops,
        "train_seconds": result.train_seconds,
        "divergence": mean_divergence(place / "metrics.jsonl"),
        "environment": environment(),
    }
    for checkpoint in place.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
    if not keep_model:
        for weights in (file for form in _WEIGHTS for file in place.glob(form)):
            weights.unlink()
    ledger.add(cell.key, record)


def evaluation_of(cell: Cell, inputs: StudyInputs, model: Path) -> EvaluateArguments:
    """Settings of the evaluation of a cell's ``model`` on the rows to measure on."""
    return EvaluateArguments(
        model_name_or_path=[f"{MODEL}={model}"],
        check_gradient_masking=False,
        trust_remote_code=cell.settings.get("trust_remote_code", False),
        **inputs.test_rows(cell.task, cell.settings),
        **(cell.evaluation or {}),
    )


def _measure(cell: Cell, inputs: StudyInputs, place: Path) -> list[dict[str, Any]]:
    """Measures a trained cell on the rows to measure on, whose records are kept; the conditions and their metrics."""
    plan = plan_of(evaluation_of(cell, inputs, place))
    run = EvaluationRun(plan, place / MEASURED, EvaluationProgress(Console(quiet=True)))
    _, (subject,) = run.subjects(MODEL)
    return [
        {
            **asdict(measurement.condition),
            "family": measurement.family,
            "num_rows": len(measurement.records),
            "row_metrics": list(measurement.records[0]["scores"]),
            "set_metrics": list(measurement.set_metrics),
        }
        for measurement in run.measurements(subject)
    ]


def mean_divergence(log: Path) -> float | None:
    """Mean divergence over the steps that were attacked, from the means that a training logged; None without any."""
    total, steps, last = 0.0, 0, 0
    for logs in map(json.loads, log.read_text(encoding="utf-8").splitlines()):
        if logs.get("adversarial_loss") is None:
            continue
        if logs.get("adv_alpha", 0.0) > 0 and logs["adversarial_loss"] > 0:
            total, steps = total + logs["adversarial_loss"] * (logs["step"] - last), steps + logs["step"] - last
        last = logs["step"]
    return total / steps if steps else None
