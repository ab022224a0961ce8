"""Evaluation of fine-tuned models side by side on suites, clean and under attack, resumed where it was stopped."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, cast

from alum.attacks.condition import Condition
from alum.core.methods import method_named
from alum.evaluation.scores.measured_calibration import LOGIT_FIELDS, calibration_of
from alum.evaluation.scores.row_records import ROW
from alum.evaluation.scores.summary import Measurement, adjusted, comparisons_of, scores_of
from alum.reports.evaluation.page import write_evaluation_page
from alum.reports.evaluation.record import EvaluationRecord
from alum.stages.evaluation.arguments import EvaluateArguments
from alum.stages.evaluation.measurements import ROWS, EvaluationRun
from alum.stages.evaluation.plan import PGD, Plan, plan_of
from alum.stages.evaluation.progress import EvaluationProgress
from alum.stages.evaluation.subject import Subject
from alum.stages.runs.environment import environment
from alum.stages.runs.folder import opened_or_resumed, write_json
from alum.stages.runs.stopping import Interrupted, Terminated, terminated_by_exception

SCHEMA_VERSION = 1
STOPPED_BY_USER, TERMINATED = 130, 143
GAIN_METHODS = ("alum", "alum_one_pass", "alum_released", "alum_paper")
GAIN_EPSILON = 0.05
GAIN_ROWS = 256


@dataclass(frozen=True)
class EvaluateResult:
    """Results of an evaluation, and the folder that they were written to.

    ``results`` is what ``results.json`` holds (``docs/results.md``); ``output_dir`` is None where nothing was written.
    """

    results: EvaluationRecord
    output_dir: str | None

    def score(
        self,
        metric: str,
        attack: str | None = None,
        epsilon: float | None = None,
        model: str | None = None,
        suite: str | None = None,
    ) -> float:
        """Score over all rows, of the first model and suite unless others are named; KeyError where it is missing."""
        wanted = {
            "model": model or self.results["models"][0]["name"],
            "suite": suite or self.results["suites"][0]["name"],
            "attack": attack,
            "epsilon": epsilon,
            "metric": metric,
            "group": None,
        }
        for row in self.results["scores"]:
            if wanted.items() <= row.items() and row["value"] is not None:
                return row["value"]
        raise KeyError(f"no score of {wanted}")


def evaluate(arguments: EvaluateArguments) -> EvaluateResult:
    """Measures every model on every suite; with an ``output_dir`` writes records, ``results.json`` and ``report.html``.

    Resumes an evaluation of the same settings that was stopped in the folder. Raises `InputError` for suites, attacks,
    settings and models that cannot be used or do not fit each other, before anything is measured, and for weights that
    cannot be loaded, when it is their model's turn; `Interrupted` when stopped.
    """
    start = time.perf_counter()
    plan = plan_of(arguments)
    results: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "elapsed_seconds": 0.0,
        "settings": vars(arguments),
        "environment": environment(),
        "models": [],
        "suites": [suite.described() for suite in plan.suites],
        "attacks": [attack.described() for attack in plan.attacks],
        "scores": [],
        "comparisons": [],
        "calibration": [],
        "checks": [],
        "examples": [],
        "gains": [],
    }
    if not arguments.output_dir:
        _run(plan, None, results)
        return EvaluateResult(cast(EvaluationRecord, {**results, "elapsed_seconds": time.perf_counter() - start}), None)
    rows = Path(arguments.output_dir) / ROWS
    with opened_or_resumed(
        arguments.output_dir,
        arguments.overwrite_output_dir,
        "evaluate",
        rows.exists,
        arguments=arguments,
        data=plan.digests(),
    ) as folder:
        try:
            with terminated_by_exception():
                _run(plan, folder, results)
        except KeyboardInterrupt as stop:
            _elapsed(folder, start)
            message = f"stopped. What was measured is kept in {folder}: the same command goes on."
            code = TERMINATED if isinstance(stop, Terminated) else STOPPED_BY_USER
            raise Interrupted(message, code) from None
        record = cast(EvaluationRecord, {**results, "elapsed_seconds": _elapsed(folder, start)})
        write_json(folder / "results.json", record)
        write_evaluation_page(folder / "report.html", record)
    return EvaluateResult(record, str(folder))


def _elapsed(folder: Path, start: float) -> float:
    """Seconds since ``start`` and of the calls that this one resumes, but those that were killed; writes them down."""
    place = folder / ROWS / "elapsed_seconds.json"
    former = float(place.read_text(encoding="utf-8")) if place.is_file() else 0.0
    elapsed = former + time.perf_counter() - start
    place.parent.mkdir(exist_ok=True)
    write_json(place, elapsed)
    return elapsed


def _run(plan: Plan, folder: Path | None, results: dict[str, Any]) -> None:
    """Measures all that is planned, and adds it to ``results``."""
    run = EvaluationRun(plan, folder, EvaluationProgress())
    baselines: dict[Condition, Measurement] = {}
    for name in plan.models:
        loaded, subjects = run.subjects(name)
        results["models"].append(loaded.described())
        for subject in subjects:
            clean: Measurement | None = None
            for measurement in run.measurements(subject):
                clean = clean or measurement  # it comes first
                results["scores"] += scores_of(measurement, clean)
                results["calibration"] += calibration_of(measurement, clean)
                first = baselines.setdefault(measurement.condition, measurement)
                if first is not measurement:
                    results["comparisons"] += comparisons_of(first, measurement)
                results["examples"] += _examples(measurement, subject)
            results["checks"] += _checks(plan, run, subject)
            if plan.arguments.adversarial_gain:
                results["gains"] += _gains(subject)
    results["comparisons"] = adjusted(results["comparisons"])


def _checks(plan: Plan, run: EvaluationRun, subject: Subject) -> list[dict[str, Any]]:
    """Checks for gradient masking, with the perturbations of the next model if there are several."""
    if not plan.arguments.check_gradient_masking or PGD not in [a.name for a in plan.attacks_on(subject.data)]:
        return []
    names = list(plan.models)
    another = names[(names.index(subject.name) + 1) % len(names)] if len(names) > 1 else None
    check = run.check(subject, another)
    return [] if check is None else [check]


def _examples(measurement: Measurement, subject: Subject) -> list[dict[str, Any]]:
    """Chooses attacked texts for the report, four successes for one failure where there are enough of both."""
    if measurement.family != "text":
        return []
    count, right = subject.arguments.num_examples, subject.right_answers()
    succeeded, failed = (
        [record for record in measurement.records if record["outcome"] == outcome]
        for outcome in ("succeeded", "failed")
    )
    chosen = succeeded[: max(round(0.8 * count), count - len(failed))]
    chosen += failed[: count - len(chosen)]
    condition = measurement.condition
    where = {"model": measurement.model, "suite": condition.suite, "attack": condition.attack}
    return [{**where, **_example(record, right[record[ROW]])} for record in chosen]


def _example(record: Mapping[str, Any], right: str) -> dict[str, Any]:
    left_out = {"scores", "changed_share", *LOGIT_FIELDS}
    of_attack = {name: value for name, value in record.items() if name not in left_out}
    return {**of_attack, "label": right}


def _gains(subject: Subject) -> list[dict[str, Any]]:
    """Measures the adversarial gain of methods on the model, of those with a relative ball at relative epsilon 0.05."""
    features = subject.model.features(subject.data.rows.first(GAIN_ROWS))
    found = []
    for name in GAIN_METHODS:
        method = method_named(name)
        if method.epsilon_unit == "relative":
            method = method_named(name, epsilon=GAIN_EPSILON)
        gain, divergence = subject.model.gain_and_divergence(features, method)
        where = {"model": subject.name, "suite": subject.data.name, "method": name}
        found.append({**where, "gain": gain, "divergence": divergence})
    return found
