"""Evaluation of fine-tuned models side by side on suites, clean and under attack, resumed where it was stopped."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from alum.attacks.condition import Condition
from alum.core.errors import InputError
from alum.core.methods import method_named
from alum.evaluation.scores.measured_calibration import LOGIT_FIELDS, calibration_of
from alum.evaluation.scores.row_records import ROW
from alum.evaluation.scores.summary import Measurement, adjusted, comparisons_of, scores_of
from alum.models.text_function import TextFunction
from alum.reports.cards.evaluation import add_evaluation
from alum.reports.evaluation.page import evaluation_page, write_evaluation_page
from alum.reports.evaluation.record import EvaluationRecord
from alum.reports.evaluation.terminal import show_evaluation
from alum.reports.exports import AttackedTexts, frame_of
from alum.reports.pages.notebook import inline_page, show
from alum.stages.evaluation.arguments import EvaluateArguments
from alum.stages.evaluation.measurements import ROWS, EvaluationRun
from alum.stages.evaluation.plan import PGD, TYPING, Plan, plan_of
from alum.stages.evaluation.progress import EvaluationProgress
from alum.stages.evaluation.subject import Subject
from alum.stages.held_folder import held
from alum.stages.runs.environment import environment
from alum.stages.runs.folder import RESULTS, opened_or_resumed, write_json
from alum.stages.runs.given import NOTHING, Given, InMemory, check_no_tokenizer, made, models_in, tables_in
from alum.stages.runs.stopping import Interrupted, exit_code_of, terminated_by_exception

if TYPE_CHECKING:
    from pandas import DataFrame

FramedPart = Literal["scores", "comparisons", "calibration", "checks", "examples", "gains"]

SCHEMA_VERSION = 1
GAIN_METHODS = ("alum", "alum_one_pass", "alum_released", "alum_paper")
GAIN_EPSILON = 0.05
GAIN_ROWS = 256


@dataclass(frozen=True)
class EvaluateResult:
    """Results of an evaluation, and the folder that they were written to.

    ``results`` is what ``results.json`` holds (``docs/results.md``); ``output_dir`` is None where nothing was written.
    At the end of a notebook's cell the result is shown as its page.
    """

    results: EvaluationRecord = field(repr=False)
    output_dir: str | None
    attacked_texts: AttackedTexts
    """All rows that attacks on texts were tried on; ``results`` has some of them as examples."""

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

    def to_pandas(self, part: FramedPart = "scores") -> "DataFrame":
        """Makes a data frame of a part of the results, a row for each entry; of scores by default."""
        return frame_of(self.results[part])

    def show(self) -> None:
        """Shows the page in a notebook, and its tables in a terminal."""
        show(self, lambda: show_evaluation(self.results))

    def _repr_html_(self) -> str:
        return inline_page(evaluation_page(self.results), "Evaluation")


def evaluate(
    model: Any,
    tokenizer: Any = None,
    rows_or_suites: Any = None,
    *,
    label_names: Sequence[str] | None = None,
    **settings: Any,
) -> EvaluateResult:
    """Measures every model on every suite; with an ``output_dir`` writes records, ``results.json`` and ``report.html``.

    ``model`` is a ``transformers`` model with its ``tokenizer``, a `transformers.Pipeline`, a checkpoint's path or id,
    a function from a list of texts (of pairs, tuples) to label probabilities in the order of ``label_names``, or
    several of these by name, ``(model, tokenizer)`` among them, the first of which is the baseline. Models stay on
    their device and are given back in the mode that they had. ``rows_or_suites`` are rows in memory (a
    `datasets.Dataset`, a pandas data frame, a list of dictionaries), several of them by name, or names of suites.
    ``settings`` are the fields of `EvaluateArguments`, such as ``text_columns``, ``label_column`` and ``attacks``.
    Functions have no gradients: unless others are named, ``typing`` is the attack on them.

    Or ``model`` is an `EvaluateArguments`, and nothing else is given.

    Resumes an evaluation of the same settings that was stopped in the folder. Raises `InputError` for suites, attacks,
    settings and models that cannot be used or do not fit each other, before anything is measured, and for weights that
    cannot be loaded, when it is their model's turn; `Interrupted` when stopped.
    """
    if isinstance(model, EvaluateArguments):
        if settings or not tokenizer is rows_or_suites is label_names is None:
            raise InputError("EvaluateArguments have all settings of an evaluation: give nothing beside them.")
        return _evaluated(model, NOTHING)
    arguments, given = _given_to_evaluate(model, tokenizer, rows_or_suites, label_names, settings)
    with given.left_as_they_were():
        return _evaluated(arguments, given)


def _given_to_evaluate(
    model: Any, tokenizer: Any, rows_or_suites: Any, label_names: Sequence[str] | None, settings: Mapping[str, Any]
) -> tuple[EvaluateArguments, Given]:
    tables, suites = ({}, []) if rows_or_suites is None else tables_in(rows_or_suites)
    paths = [model] if isinstance(model, str) else model
    in_memory: dict[str, InMemory] = {}
    if isinstance(paths, list):
        check_no_tokenizer(tokenizer)
    else:
        models = models_in(model, tokenizer, label_names)
        in_memory = {name: source for name, source in models.items() if not isinstance(source, str)}
        paths = [f"{name}={one if isinstance(one, str) else one.name_or_path}" for name, one in models.items()]
    if any(isinstance(source, TextFunction) for source in in_memory.values()):
        settings = {"attacks": [TYPING], **settings}
    named = settings.get("suites", [])
    suites += [named] if isinstance(named, str) else list(named)
    given = {**settings, "model_name_or_path": paths, "suites": suites}
    return made(EvaluateArguments, given), Given(in_memory, tables)


def _evaluated(arguments: EvaluateArguments, given: Given) -> EvaluateResult:
    with held(arguments.output_dir or None):
        return _measured(arguments, given)


def _measured(arguments: EvaluateArguments, given: Given) -> EvaluateResult:
    start = time.perf_counter()
    plan = plan_of(arguments, given)
    results: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
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
        attacked = _run(plan, None, results)
        results["elapsed_seconds"] = time.perf_counter() - start
        return EvaluateResult(cast(EvaluationRecord, results), None, attacked)
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
                attacked = _run(plan, folder, results)
        except KeyboardInterrupt as stop:
            _elapsed(folder, start)
            message = f"stopped. What was measured is kept in {folder}: the same command goes on."
            raise Interrupted(message, exit_code_of(stop)) from None
        record = cast(EvaluationRecord, {**results, "elapsed_seconds": _elapsed(folder, start)})
        write_json(folder / RESULTS, record)
        write_evaluation_page(folder / "report.html", record)
        add_evaluation(folder, record)
    return EvaluateResult(record, str(folder), attacked)


def _elapsed(folder: Path, start: float) -> float:
    """Seconds since ``start`` and of the calls that this one resumes, but those that were killed; writes them down."""
    place = folder / ROWS / "elapsed_seconds.json"
    former = float(place.read_text(encoding="utf-8")) if place.is_file() else 0.0
    elapsed = former + time.perf_counter() - start
    place.parent.mkdir(exist_ok=True)
    write_json(place, elapsed)
    return elapsed


def _run(plan: Plan, folder: Path | None, results: dict[str, Any]) -> AttackedTexts:
    """Measures all that is planned, and adds it to ``results``; returns what attacks on texts were tried on."""
    run = EvaluationRun(plan, folder, EvaluationProgress())
    baselines: dict[Condition, Measurement] = {}
    all_attacked: list[dict[str, Any]] = []
    for name in plan.models:
        model, subjects = run.subjects(name)
        results["models"].append(model.described())
        for subject in subjects:
            clean: Measurement | None = None
            for measurement in run.measurements(subject):
                clean = clean or measurement  # it comes first
                results["scores"] += scores_of(measurement, clean)
                results["calibration"] += calibration_of(measurement, clean)
                first = baselines.setdefault(measurement.condition, measurement)
                if first is not measurement:
                    results["comparisons"] += comparisons_of(first, measurement)
                attacked = _attacked(measurement, subject)
                all_attacked += attacked
                results["examples"] += _examples(attacked, plan.arguments.num_examples)
            results["checks"] += _checks(plan, run, subject)
            if plan.arguments.adversarial_gain:
                results["gains"] += _gains(subject)
    results["comparisons"] = adjusted(results["comparisons"])
    return AttackedTexts(all_attacked)


def _checks(plan: Plan, run: EvaluationRun, subject: Subject) -> list[dict[str, Any]]:
    """Checks for gradient masking, with the perturbations of the next model if there are several."""
    if not plan.arguments.check_gradient_masking or PGD not in [a.name for a in plan.attacks_on(subject.data)]:
        return []
    names = list(plan.models)
    another = names[(names.index(subject.name) + 1) % len(names)] if len(names) > 1 else None
    check = run.check(subject, another)
    return [] if check is None else [check]


def _attacked(measurement: Measurement, subject: Subject) -> list[dict[str, Any]]:
    """Records of all rows that an attack on texts was tried on; of other measurements none."""
    if measurement.family != "text":
        return []
    condition, right = measurement.condition, subject.right_answers()
    where = {"model": measurement.model, "suite": condition.suite, "attack": condition.attack}
    return [{**where, **_example(record, right[record[ROW]])} for record in measurement.records]


def _examples(attacked: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Chooses attacked texts for the report, four successes for one failure where there are enough of both."""
    succeeded, failed = ([record for record in attacked if record["outcome"] == o] for o in ("succeeded", "failed"))
    chosen = succeeded[: max(round(0.8 * count), count - len(failed))]
    return chosen + failed[: count - len(chosen)]


def _example(record: Mapping[str, Any], right: str) -> dict[str, Any]:
    left_out = {"scores", "changed_share", *LOGIT_FIELDS}
    of_attack = {name: value for name, value in record.items() if name not in left_out}
    return {**of_attack, "label": right}


def _gains(subject: Subject) -> list[dict[str, Any]]:
    """Measures the adversarial gain of methods on the model, of those with a relative ball at relative epsilon 0.05."""
    model = subject.with_gradients
    features = model.features(subject.data.rows.first(GAIN_ROWS))
    found = []
    for name in GAIN_METHODS:
        method = method_named(name)
        if method.epsilon_unit == "relative":
            method = method_named(name, epsilon=GAIN_EPSILON)
        gain, divergence = model.gain_and_divergence(features, method)
        where = {"model": subject.name, "suite": subject.data.name, "method": name}
        found.append({**where, "gain": gain, "divergence": divergence})
    return found
