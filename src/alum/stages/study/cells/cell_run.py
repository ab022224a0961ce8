"""Runs of a study's cells: training, measures on what had no part in it, and a record, which is written last."""

import json
import logging
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alum.core.errors import InputError, NotWritten
from alum.data.values import as_json
from alum.data.visible_console import VisibleConsole
from alum.data.writing import write_text
from alum.stages.evaluation.arguments import EvaluateArguments
from alum.stages.evaluation.measurements import EvaluationRun
from alum.stages.evaluation.plan import plan_of
from alum.stages.evaluation.progress import EvaluationProgress
from alum.stages.finetuning.run import finetune
from alum.stages.pretraining.held_out import HeldOutLosses, held_out_losses
from alum.stages.pretraining.run import pretrain
from alum.stages.pretraining.texts import text_corpus
from alum.stages.runs.environment import environment
from alum.stages.runs.folder import METRICS
from alum.stages.study.cells.finetune_cell import FinetuneCell
from alum.stages.study.cells.ledger import CELL, DIVERGED, Cell, Ledger
from alum.stages.study.cells.pretrain_cell import PretrainCell
from alum.stages.study.inputs import StudyInputs
from alum.stages.study.settings import placed
from alum.training.callbacks import Diverged

logger = logging.getLogger(__name__)

MEASURED, MODEL = "measured", "model"
_WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.pth")


def run_cell(cell: Cell, inputs: StudyInputs, ledger: Ledger, keep_model: bool) -> None:
    """Trains and measures a cell in its folder of the ledger, and goes on with what a run that was killed left there.

    A training that is finished there is not made again, and rows that have a record are not measured again. That a
    training of a search diverges is its outcome; any other one raises `Diverged`.
    """
    place = ledger.place(cell.key)
    if (place / CELL).is_file():  # finished, but without the weights that are needed now
        shutil.rmtree(place)
    is_new = not place.exists()
    try:
        record = _run(cell, inputs, ledger, place)
    except InputError as error:
        if isinstance(error, Diverged):
            _remove_checkpoints(place)
        if is_new or isinstance(error, Diverged | NotWritten):
            raise
        # What is left there is of another version, or damaged.
        logger.warning("%s is begun anew, since what was left there cannot go on: %s", place, error)
        shutil.rmtree(place)
        record = _run(cell, inputs, ledger, place)
    keep_model = keep_model or (isinstance(cell, PretrainCell) and cell.is_fine_tuned)
    record |= {
        "key": cell.key,
        "settings": dict(cell.settings),
        "seed": cell.seed,
        "model": cell.model,
        "divergence": mean_divergence(place / METRICS),
        "environment": environment(),
        "has_model": keep_model,
    }
    _remove_checkpoints(place)
    if not keep_model:
        for weights in (file for form in _WEIGHTS for file in place.glob(form)):
            weights.unlink()
    ledger.add(cell.key, record)


def _remove_checkpoints(place: Path) -> None:
    """Removes the checkpoints of a training that goes on no more, damaged ones too."""
    for checkpoint in (*place.glob("checkpoint-*"), *place.glob("old-checkpoint-*")):
        shutil.rmtree(checkpoint)


def _run(cell: Cell, inputs: StudyInputs, ledger: Ledger, place: Path) -> dict[str, Any]:
    return _pretrained(cell, place) if isinstance(cell, PretrainCell) else _finetuned(cell, inputs, ledger, place)


def evaluation_of(cell: FinetuneCell, inputs: StudyInputs, model: Path) -> EvaluateArguments:
    """Settings of the evaluation of a cell's ``model`` on the rows to measure on."""
    return EvaluateArguments(
        model_name_or_path=[f"{MODEL}={model}"],
        check_gradient_masking=False,
        trust_remote_code=cell.settings.get("trust_remote_code", False),
        **inputs.test_rows(cell.task, cell.settings),
        **placed(cell.evaluation or {}),
    )


def losses_file(place: Path, text: str) -> Path:
    """File with the losses of a pre-trained model on a text, a line for each sequence."""
    return place / MEASURED / f"{text}.jsonl"


def mean_divergence(log: Path) -> float | None:
    """Mean divergence over what was attacked, from the means that a training logged; None without any.

    Logged means are over all steps since the log before, of which the ``attacked_share`` was. The divergence is that at
    δ, or at changed texts where there is no δ.
    """
    total, attacked, last = 0.0, 0.0, 0
    for logs in map(json.loads, log.read_text(encoding="utf-8").splitlines()):
        if logs.get("adversarial_loss") is None:
            continue
        num_steps, last = logs["step"] - last, logs["step"]
        at_texts = logs.get("text_loss") or 0.0 if "adv_epsilon" in logs else 0.0
        total += num_steps * (logs["adversarial_loss"] - at_texts)
        attacked += num_steps * (logs.get("attacked_share", 1.0) or 0.0)
    return total / attacked if attacked and total > 0 else None


def scores_by_step(place: Path, metric: str) -> dict[int, float]:
    """Validation scores of a training in a folder by step, as far as it was measured on the way."""
    log = place / METRICS
    lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    logs = [found for found in map(json.loads, lines) if found.get(f"eval_{metric}") is not None]
    return {found["step"]: found[f"eval_{metric}"] for found in logs}


# -- fine-tuning -------------------------------------------------------------------------------------------------------


def _finetuned(cell: FinetuneCell, inputs: StudyInputs, ledger: Ledger, place: Path) -> dict[str, Any]:
    pretrained = "" if cell.pretrained is None else str(ledger.place(cell.pretrained))
    facts = {"data": dict(cell.data), "evaluation": cell.evaluation, "pretrained": cell.pretrained}
    try:
        result = finetune(cell.arguments(str(inputs.data_dir(cell.task)), pretrained), cell.config(str(place)))
    except Diverged as error:
        if not cell.is_search:
            raise
        return {**facts, DIVERGED: str(error)}
    _remove_checkpoints(place)
    return {
        **facts,
        "conditions": [] if cell.evaluation is None else _measure(cell, inputs, place),
        "label_names": result.label_names,
        "metrics": result.metrics,
        "num_steps": result.num_steps,
        "train_flops": result.train_flops,
        "train_seconds": result.train_seconds,
    }


def _measure(cell: FinetuneCell, inputs: StudyInputs, place: Path) -> list[dict[str, Any]]:
    """Measures a trained cell on the rows to measure on, whose records are kept; the conditions and their metrics."""
    plan = plan_of(evaluation_of(cell, inputs, place))
    run = EvaluationRun(plan, place / MEASURED, EvaluationProgress(VisibleConsole(quiet=True)))
    _, subjects = run.subjects(MODEL)
    return [
        {
            **asdict(measurement.condition),
            "family": measurement.family,
            "num_rows": len(measurement.records),
            "row_metrics": list(measurement.records[0]["scores"]),
            "set_metrics": list(measurement.set_metrics),
        }
        for subject in subjects
        for measurement in run.measurements(subject)
    ]


# -- pre-training ------------------------------------------------------------------------------------------------------


def _pretrained(cell: PretrainCell, place: Path) -> dict[str, Any]:
    arguments, config = cell.arguments(), cell.config(str(place))
    result = pretrain(arguments, config)
    texts = {name: text_corpus(file, arguments) for name, file in cell.held_out_files().items()}
    losses = held_out_losses(place, texts, arguments, config) if texts else {}
    for name, of_text in losses.items():
        _write_losses(losses_file(place, name), of_text)
    return {
        "texts": dict(cell.texts),
        "held_out": None if cell.held_out is None else dict(cell.held_out),
        "held_out_tokens": {name: of_text.digest for name, of_text in losses.items()},
        "metrics": result.metrics,
        "num_steps": result.num_steps,
        "train_flops": result.train_flops,
        "train_seconds": result.train_seconds,
    }


def _write_losses(file: Path, of_text: HeldOutLosses) -> None:
    columns = (of_text.losses, of_text.num_right, of_text.num_tokens, of_text.documents)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    names = ("loss", "num_right", "num_tokens", "document")
    file.parent.mkdir(exist_ok=True)
    records = ({"row": number, **dict(zip(names, row, strict=True))} for number, row in enumerate(rows))
    write_text(file, "".join(json.dumps(as_json(record)) + "\n" for record in records))
