"""Metrics of a study's finished cells by arm and seed, made from their records of rows."""

import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from alum.evaluation.scores.seeds import loss_metric, mean_metric
from alum.evaluation.scores.set_metrics import SetMetric
from alum.stages.evaluation.measurements import CLEAN, ROWS
from alum.stages.evaluation.plan import plan_of
from alum.stages.evaluation.suite_data import SuiteData
from alum.stages.study.cells.cell_run import MEASURED, MODEL, evaluation_of, losses_file
from alum.stages.study.cells.finetune_cell import FinetuneCell
from alum.stages.study.cells.pretrain_cell import PretrainCell
from alum.stages.study.comparing.comparisons import Measure
from alum.stages.study.planning import LOSS, CellPlace, StudyPlan


@dataclass
class MeasuredTask:
    """Metrics of a task or a text by measure, arm and seed, and what is known of the rows that they are of.

    ``clusters`` have what each row shares with others, None where every row stands by itself. ``keys`` are of
    the trainings by arm and seed, ``tokens`` digests of what each arm was measured on where that need not be the same.
    """

    name: str
    metrics: dict[Measure, dict[str, dict[int, SetMetric]]] = field(default_factory=dict)
    clusters: dict[Measure, Sequence[Hashable] | None] = field(default_factory=dict)
    keys: dict[tuple[str, int], str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def apart(self) -> set[str]:
        """Arms that were measured on other tokens than the first one, and cannot be compared with it."""
        return {arm for arm, digest in self.tokens.items() if digest != next(iter(self.tokens.values()))}

    def add(self, measure: Measure, place: CellPlace, metric: SetMetric) -> None:
        self.metrics.setdefault(measure, {}).setdefault(place.arm, {})[place.seed] = metric

    def pairs(self, measure: Measure, arm: str, baseline: str) -> list[tuple[SetMetric, SetMetric]]:
        """Metrics of a baseline and of an arm with each seed that both have; none where they are the same trainings."""
        first, second = (self.metrics[measure].get(one, {}) for one in (baseline, arm))
        seeds = sorted(first.keys() & second.keys())
        are_the_same = all(self.keys[arm, seed] == self.keys[baseline, seed] for seed in seeds)
        if are_the_same or self.tokens.get(arm) != self.tokens.get(baseline):
            return []
        return [(first[seed], second[seed]) for seed in seeds]


def measured_task(plan: StudyPlan, task: str, cells: Mapping[CellPlace, FinetuneCell]) -> MeasuredTask:
    """Reads what the fine-tunings on a task were measured to be, on its test rows and on its further suites."""
    found = MeasuredTask(task)
    if not cells:
        return found
    suites = plan_of(evaluation_of(next(iter(cells.values())), plan.inputs, plan.ledger.folder)).suites
    own = next(suite for suite in suites if suite.name not in plan.study.tasks[task].get("suites", {}))
    by_name = {suite.name: _Suite(task if suite is own else f"{task} → {suite.name}", suite) for suite in suites}
    for place, cell in cells.items():
        found.keys[place.arm, place.seed] = cell.key
        record = plan.ledger.record(cell)
        assert record is not None
        for condition in record["conditions"]:
            rows = plan.ledger.place(cell.key) / MEASURED / ROWS / MODEL / condition["suite"]
            suite = by_name[condition["suite"]]
            for measure, metric, numbers in suite.metrics(condition, rows, record["label_names"]):
                found.add(measure, place, metric)
                found.clusters.setdefault(measure, suite.clusters_of(numbers))
    return found


def measured_text(plan: StudyPlan, text: str, cells: Mapping[CellPlace, PretrainCell]) -> MeasuredTask:
    """Reads what the pre-trainings were measured to lose on a text, sequence by sequence."""
    found = MeasuredTask(text)
    measure = Measure(text, None, None, LOSS, True)
    for place, cell in cells.items():
        record = plan.ledger.record(cell)
        assert record is not None
        rows = _lines(losses_file(plan.ledger.place(cell.key), text))
        found.add(measure, place, loss_metric([row["loss"] for row in rows], [row["num_tokens"] for row in rows]))
        found.keys[place.arm, place.seed] = cell.key
        found.tokens[place.arm] = record["held_out_tokens"][text]
        if place.arm not in found.apart:
            documents = [row["document"] for row in rows]
            found.clusters[measure] = documents if len(set(documents)) > 1 else None
    return found


@dataclass(frozen=True)
class _Suite:
    """Suite that models were measured on, and its name on the study's page."""

    shown: str
    data: SuiteData

    def metrics(
        self, condition: Mapping[str, Any], folder: Path, label_names: Sequence[str]
    ) -> Iterator[tuple[Measure, SetMetric, list[int]]]:
        """Yields each measure of a condition with its metric and the numbers of its rows."""
        data, _ = self.data.in_labels_of(label_names) if label_names else (self.data, None)
        attack, epsilon = condition["attack"], condition["epsilon"]
        name = attack or CLEAN
        records = sorted(
            _lines(folder / f"{name if epsilon is None else f'{name}-{epsilon:g}'}.jsonl"), key=lambda one: one["row"]
        )
        numbers = [one["row"] for one in records]

        def measure(metric: str) -> Measure:
            return Measure(self.shown, attack, epsilon, metric, metric == self.data.main_metric)

        for metric in condition["row_metrics"]:
            yield measure(metric), mean_metric([one["scores"][metric] for one in records]), numbers
        if condition["set_metrics"]:
            indices = {number: index for index, number in enumerate(data.rows.numbers)}
            rows = data.rows.select([indices[number] for number in numbers])
            found = data.set_metrics(rows, records)
            for metric in condition["set_metrics"]:
                yield measure(metric), found[metric], numbers

    def clusters_of(self, numbers: Sequence[int]) -> list[str] | None:
        """What each of the rows with these numbers shares with others; an attack may be on a part of them."""
        return None if self._clusters is None else [self._clusters[number] for number in numbers]

    @cached_property
    def _clusters(self) -> dict[int, str] | None:
        clusters = self.data.clusters
        return None if clusters is None else dict(zip(self.data.rows.numbers, clusters, strict=True))


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
