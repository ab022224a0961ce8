"""Measurements of an evaluation: each model on each suite, into records of rows that a later call resumes from."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alum.attacks.condition import Condition
from alum.attacks.text.base import Resources
from alum.attacks.text.candidates.misspellings import Misspellings
from alum.attacks.text.table import text_attack_named
from alum.core.errors import InputError
from alum.data.files import read_json_object
from alum.evaluation.gradient_masking import check_gradient_masking
from alum.evaluation.label_names import LabelMapping
from alum.evaluation.measured_model import LoadedFunction, LoadedModel, ModelSource, Reading, loaded
from alum.evaluation.scores.measured_calibration import LOGIT_FIELDS
from alum.evaluation.scores.row_records import ROW, RowRecords
from alum.evaluation.scores.summary import Measurement
from alum.evaluation.validity.kept_meaning import VALIDITY_FIELDS, KeptMeaning
from alum.stages.evaluation.attacking.attack_resources import AttackResources
from alum.stages.evaluation.plan import MISSPELLINGS, PGD, TYPING, Plan, PlannedAttack
from alum.stages.evaluation.progress import EvaluationProgress
from alum.stages.evaluation.subject import Record, Subject
from alum.stages.evaluation.suite_data import SuiteData, part_of
from alum.stages.runs.folder import write_json
from alum.tasks.rows import TaskRows

CLEAN = "clean"
GRADIENT_MASKING = "gradient_masking"
CHECKED_ROWS = 32
ROWS = "rows"


class EvaluationRun:
    """Measures what an evaluation's plan says; records are kept in ``folder``, or in memory where that is None."""

    def __init__(self, plan: Plan, folder: Path | None, progress: EvaluationProgress) -> None:
        """Reads the models' labels; raises `InputError` if a model is missing or its labels do not fit a suite's."""
        self._plan, self._folder, self._progress = plan, folder, progress
        _check_file_names(plan.models)
        _check_file_names([suite.name for suite in plan.suites])
        self._sources = plan.sources()
        self._labelled = {
            (name, suite.name): labelled
            for name, source in self._sources.items()
            for suite, labelled in _with_labels_of(name, source, plan.suites)
        }
        attacks = [text_attack_named(attack.name) for attack in plan.attacks if attack.family == "text"]
        self._resources = AttackResources(plan.arguments, attacks)
        self._resources.load()  # what cannot be loaded is told of before anything is measured
        listed = plan.arguments.misspellings
        self._misspellings = Resources(misspellings=None if listed is None else Misspellings(Path(listed)))

    def subjects(self, name: str) -> tuple[LoadedModel | LoadedFunction, list[Subject]]:
        """Loads a model by its name in the plan, and pairs it with each suite.

        Raises `InputError` if it cannot be loaded or run, or is not the model that earlier records of its name are of.
        """
        model = self._loaded(name)
        subjects = [self.subject(model, suite) for suite in self._plan.suites]
        subjects[0].model.check_first_pass(subjects[0].data.rows, model.source.name_or_path)
        if self._folder is not None:
            record = self._folder / ROWS / _file_name(name) / "model.json"
            path, digest = model.source.name_or_path, model.digest()
            described = {"path": path, "digest": digest}
            known = read_json_object(record) if record.is_file() else None
            if known is not None and digest is None:
                raise InputError(
                    f"an evaluation of {path} cannot be gone on with, since it cannot be told from another one: start "
                    "anew with overwrite_output_dir."
                )
            if known is not None and known != described:
                raise InputError(
                    f"{path} is not the model {name} that the evaluation in {self._folder} began with. Evaluate "
                    "it into another folder, or start anew with --overwrite_output_dir."
                )
            record.parent.mkdir(parents=True, exist_ok=True)
            write_json(record, described)
        return model, subjects

    def subject(self, model: LoadedModel | LoadedFunction, suite: SuiteData) -> Subject:
        arguments = self._plan.arguments
        data, mapping = self._labelled[model.name, suite.name]
        reading = Reading(
            arguments.max_seq_length,
            suite.max_length_tokens,
            arguments.per_device_eval_batch_size,
            arguments.tolerance,
        )
        return Subject(model.name, model.on_task(suite.evaluated, mapping, reading), data, arguments)

    def measurements(self, subject: Subject) -> Iterator[Measurement]:
        """Measures a model on a suite, clean and under each planned attack, but no rows that have a record already."""
        rows, arguments = subject.data.rows, self._plan.arguments
        few = part_of(rows, arguments.max_attacked_samples, arguments.seed)
        yield from self._at_each_radius(subject, None, rows)
        for attack in self._plan.attacks_on(subject.data):
            yield from self._at_each_radius(subject, attack, rows if attack.family == "noise" else few)

    def check(self, subject: Subject, another: str | None) -> dict[str, Any] | None:
        """Checks a model on a suite for gradient masking, which would make PGD's scores too high.

        On a part of the rows, and with the perturbations of ``another`` model where one is named. Returns the check's
        entry in ``results.json``, or None for kinds of task where a single answer is not right or wrong.
        """
        if subject.with_gradients.is_wrong is None:
            return None
        arguments = self._plan.arguments
        place = self._file(subject, GRADIENT_MASKING)
        if place is not None and place.is_file():
            return read_json_object(place)
        count = min(CHECKED_ROWS, arguments.max_attacked_samples or CHECKED_ROWS)
        rows = part_of(subject.data.rows, count, arguments.seed)
        other = self.subject(self._loaded(another), subject.data) if another else None
        title = f"{subject.name} on {subject.data.name}, check for gradient masking"
        with self._progress.shown(title, len(rows)) as done:
            parts = check_gradient_masking(
                subject.with_gradients,
                subject.model.features(rows),
                subject.middle_pgd,
                other.with_gradients if other else None,
            )
            done(len(rows))
        check = {
            "model": subject.name,
            "suite": subject.data.name,
            "name": GRADIENT_MASKING,
            "passed": all(part.passed is not False for part in parts),
            "parts": [asdict(part) for part in parts],
        }
        if place is not None:
            write_json(place, check)
        return check

    def _loaded(self, name: str) -> LoadedModel | LoadedFunction:
        return loaded(name, self._sources[name], self._plan.suites[0].evaluated)

    def _at_each_radius(self, subject: Subject, attack: PlannedAttack | None, rows: TaskRows) -> Iterator[Measurement]:
        """Yields the measurement at each radius, after measuring the rows that have no record yet."""
        radii = attack.settings.get("epsilons", [None]) if attack else [None]
        name = attack.name if attack else CLEAN
        files = {radius: name if radius is None else f"{name}-{radius:g}" for radius in radii}
        needed = set(LOGIT_FIELDS if subject.data.evaluated.chooses_label else ())
        needed |= set(VALIDITY_FIELDS if attack and attack.family == "text" else ())
        known = {radius: RowRecords(self._file(subject, file), needed) for radius, file in files.items()}
        parts = [
            part
            for part in _parts(rows, _rows_at_once(subject, attack))
            if any(records.missing(part.numbers) for records in known.values())
        ]
        title = f"{subject.name} on {subject.data.name}, {name}"
        with self._progress.shown(title, sum(map(len, parts)) * len(radii)) as done:
            for part in parts:
                for radius, records in self._records(subject, attack, part):
                    for record in records:
                        if known[radius].missing([record[ROW]]):
                            known[radius].add([record])
                        done(1)
        for radius in radii:
            yield self._of_records(subject, attack, radius, rows, known[radius].of(rows.numbers))

    def _records(
        self, subject: Subject, attack: PlannedAttack | None, rows: TaskRows
    ) -> Iterable[tuple[float | None, Iterable[Record]]]:
        """Measures rows and gives their records by radius, which is None for attacks without one."""
        if attack is None:
            return [(None, subject.clean(rows))]
        if attack.name == TYPING:
            return [(None, subject.mistyped(rows))]
        if attack.name == MISSPELLINGS:
            return [(None, subject.misspelled(rows, self._misspellings))]
        if attack.name == PGD:
            return subject.under_pgd(rows, attack.settings["epsilons"])
        similarity = self._resources.similarity and self._resources.similarity.without_memory()
        meaning = KeptMeaning(similarity, self._resources.word_losses)
        return [(None, subject.attacked(rows, attack.name, meaning, self._resources.of_model(subject.gradients)))]

    def _of_records(
        self,
        subject: Subject,
        attack: PlannedAttack | None,
        radius: float | None,
        rows: TaskRows,
        records: Sequence[Record],
    ) -> Measurement:
        groups, clusters = (
            dict(zip(subject.data.rows.numbers, of_rows or (), strict=False))
            for of_rows in (subject.data.groups, subject.data.clusters)
        )
        return Measurement(
            model=subject.name,
            condition=Condition(subject.data.name, attack.name if attack else None, radius),
            family=attack.family if attack else None,
            records=records,
            groups=[groups[number] for number in rows.numbers] if groups else (),
            clusters=[clusters[number] for number in rows.numbers] if clusters else (),
            set_metrics={} if attack and attack.family == "text" else subject.data.set_metrics(rows, records),
        )

    def _file(self, subject: Subject, measure: str) -> Path | None:
        if self._folder is None:
            return None
        suffix = ".json" if measure == GRADIENT_MASKING else ".jsonl"
        return self._folder / ROWS / _file_name(subject.name) / _file_name(subject.data.name) / f"{measure}{suffix}"


def _with_labels_of(
    name: str, source: ModelSource, suites: Iterable[SuiteData]
) -> Iterator[tuple[SuiteData, tuple[SuiteData, LabelMapping | None]]]:
    """Yields each suite as it is, and with the labels of a model, of which only the configuration is read."""
    for suite in suites:
        names = suite.rows.label_names if source.label_names is None else source.label_names
        try:
            yield suite, suite.in_labels_of(names)
        except InputError as error:
            raise InputError(f"{name}: {error}") from None


def _check_file_names(names: Iterable[str]) -> None:
    """Raises `InputError` for two names whose records would be in the same folder."""
    taken: dict[str, str] = {}
    for name in names:
        other = taken.setdefault(_file_name(name).casefold(), name)
        if other != name:
            raise InputError(f"the records of {other} and {name} would be in one folder: name one of them otherwise.")


def _rows_at_once(subject: Subject, attack: PlannedAttack | None) -> int | None:
    """Number of rows measured at a time, which a stop loses at most; None for all rows together."""
    if subject.data.evaluated.needs_all_rows:
        return None
    return 64 if attack and attack.family in ("embedding", "text") else 1024


def _parts(rows: TaskRows, size: int | None) -> Iterator[TaskRows]:
    """Yields rows in parts of ``size``, or in one part where that is None.

    They are the same whatever is known already, and each is measured whole where one of its rows is not: outputs differ
    in the last digits with what is in their batch, and a resumed evaluation is to find what an undisturbed one does.
    """
    for start in range(0, len(rows), size or max(len(rows), 1)):
        yield rows.select(range(start, min(start + size, len(rows)))) if size else rows


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name).lstrip(".") or "_"
