"""Outcome of a study: from the records of its finished cells to scores, comparisons, costs and sentences."""

import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

import yaml

from alum.evaluation.scores.seeds import difference_over_seeds, level_over_seeds, mean_metric
from alum.evaluation.scores.set_metrics import SetMetric
from alum.reports.study.record import ArmCost, ArmScore, SearchRecord, StudyRecord
from alum.reports.study.words import answers_of
from alum.stages.evaluation.measurements import CLEAN, ROWS
from alum.stages.evaluation.plan import plan_of
from alum.stages.evaluation.suite_data import SuiteData
from alum.stages.study.cell_run import MEASURED, MODEL, evaluation_of
from alum.stages.study.comparing.comparisons import (
    STUDY_SCHEMA_VERSION,
    ArmDifference,
    Measure,
    arm_score,
    compared_arms,
)
from alum.stages.study.ledger import Cell
from alum.stages.study.planning import CellPlace, StudyPlan
from alum.stages.study.settings import STANDARD, STANDARD_PLUS

_Metrics = Mapping[Measure, Mapping[str, Mapping[int, SetMetric]]]  # by arm and seed


def outcome_of(plan: StudyPlan) -> StudyRecord:
    """Sums up the finished cells of a study for ``results.json``; names those that are missing."""
    found = {place: cell for place, cell in plan.cells().items() if plan.ledger.record(cell) is not None}
    tables = {
        task: _TaskScores(plan, task, {p: c for p, c in found.items() if p.task == task}) for task in plan.study.tasks
    }
    measured = {task: dict(table.metrics()) for task, table in tables.items() if table.cells}
    differences = [one for task, metrics in measured.items() for one in _differences(metrics, tables[task])]
    comparisons = [
        entry
        for baseline in (STANDARD, STANDARD_PLUS)
        for entry in compared_arms([one for one in differences if one.baseline == baseline])
    ]
    return StudyRecord(
        schema_version=STUDY_SCHEMA_VERSION,
        settings=yaml.safe_load(plan.study.written()),
        environments=_environments(plan, found.values()),
        arms=list(plan.study.arms),
        tasks=list(plan.study.tasks),
        seeds=list(plan.study.seeds),
        num_cells=len(found),
        missing=[f"{p.task}, {p.arm}, seed {p.seed}" for p in plan.places() if p not in found],
        answers=answers_of(comparisons),
        scores=[score for task, metrics in measured.items() for score in _scores(metrics, tables[task])],
        comparisons=comparisons,
        costs=_costs(plan, found),
        searches=_searches(plan),
    )


# -- scores of a task --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _TaskScores:
    """Finished cells of a task, and the metrics that their records of rows give."""

    plan: StudyPlan
    task: str
    cells: Mapping[CellPlace, Cell]

    @cached_property
    def suite(self) -> SuiteData:
        cell = next(iter(self.cells.values()))
        (suite,) = plan_of(evaluation_of(cell, self.plan.inputs, self.plan.ledger.folder)).suites
        return suite

    def metrics(self) -> Iterator[tuple[Measure, dict[str, dict[int, SetMetric]]]]:
        """Yields each measure with its metric by arm and seed."""
        found: dict[Measure, dict[str, dict[int, SetMetric]]] = {}
        for place, cell in self.cells.items():
            for measure, metric in self._of_cell(cell):
                found.setdefault(measure, {}).setdefault(place.arm, {})[place.seed] = metric
        yield from found.items()

    def clusters(self, num_rows: int) -> Sequence[Hashable] | None:
        """What each row shares with others, for measures of all rows; an attack may be on a part of them."""
        return self.suite.clusters if self.suite.clusters and num_rows == len(self.suite.rows) else None

    def _of_cell(self, cell: Cell) -> Iterator[tuple[Measure, SetMetric]]:
        record = self.plan.ledger.record(cell)
        assert record is not None
        data, _ = self.suite.in_labels_of(record["label_names"]) if record["label_names"] else (self.suite, None)
        for condition in record["conditions"]:
            attack, epsilon = condition["attack"], condition["epsilon"]
            name = attack or CLEAN
            file = f"{name if epsilon is None else f'{name}-{epsilon:g}'}.jsonl"
            place = self.plan.ledger.place(cell.key) / MEASURED / ROWS / MODEL / condition["suite"] / file
            records = sorted(map(json.loads, place.read_text(encoding="utf-8").splitlines()), key=lambda r: r["row"])

            def measure(metric: str, attack: str | None = attack, epsilon: float | None = epsilon) -> Measure:
                return Measure(self.task, attack, epsilon, metric, metric == self.plan.inputs.main_metrics[self.task])

            for metric in condition["row_metrics"]:
                yield measure(metric), mean_metric([one["scores"][metric] for one in records])
            if condition["set_metrics"]:
                indices = {number: index for index, number in enumerate(data.rows.numbers)}
                rows = data.rows.select([indices[one["row"]] for one in records])
                for metric in condition["set_metrics"]:
                    yield (
                        measure(metric),
                        data.evaluated.set_metric(metric, [r.get("prediction") for r in records], rows),
                    )


def _scores(metrics: _Metrics, table: _TaskScores) -> Iterator[ArmScore]:
    for measure, by_arm in metrics.items():
        for arm in (one for one in table.plan.study.arms if one in by_arm):
            of_seeds = by_arm[arm]
            num_rows = len(next(iter(of_seeds.values())).rows)
            spread = level_over_seeds(list(of_seeds.values()), table.clusters(num_rows))
            yield arm_score(measure, arm, spread, {seed: metric.value for seed, metric in of_seeds.items()}, num_rows)


def _differences(metrics: _Metrics, table: _TaskScores) -> Iterator[ArmDifference]:
    """Yields every arm's difference from each baseline, over the seeds that both have."""
    for measure, by_arm in metrics.items():
        for baseline in (STANDARD, STANDARD_PLUS):
            for arm in table.plan.study.arms:
                if arm == baseline or (arm, baseline) == (STANDARD, STANDARD_PLUS):
                    continue
                first, second = by_arm.get(baseline, {}), by_arm.get(arm, {})
                seeds = sorted(first.keys() & second.keys())
                if seeds:
                    pair = [first[seed] for seed in seeds], [second[seed] for seed in seeds]
                    num_rows = len(pair[0][0].rows)
                    spread = difference_over_seeds(*pair, table.clusters(num_rows))
                    yield ArmDifference(measure, arm, baseline, spread, num_rows)


# -- what stands beside ------------------------------------------------------------------------------------------------


def _costs(plan: StudyPlan, found: Mapping[CellPlace, Cell]) -> list[ArmCost]:
    """Mean cost of each arm on each task, and its FLOPs over those of standard training with the same seeds."""
    records = {place: plan.ledger.record(cell) or {} for place, cell in found.items()}
    costs = []
    for task in plan.study.tasks:
        for arm in plan.study.arms:
            own = {p.seed: r for p, r in records.items() if (p.task, p.arm) == (task, arm)}
            standard = {p.seed: r for p, r in records.items() if (p.task, p.arm) == (task, STANDARD)}
            if own:
                counted = all(record["train_flops"] for record in (*own.values(), *standard.values()))
                both = own.keys() & standard.keys()
                ratios = [own[seed]["train_flops"] / standard[seed]["train_flops"] for seed in both if counted]
                costs.append(
                    ArmCost(
                        task=task,
                        arm=arm,
                        num_seeds=len(own),
                        flops=fmean(record["train_flops"] for record in own.values()) if counted else None,
                        seconds=fmean(record["train_seconds"] for record in own.values()),
                        times_standard=fmean(ratios) if ratios else None,
                    )
                )
    return costs


def _searches(plan: StudyPlan) -> list[SearchRecord]:
    choices = [plan.choice(task, arm) for task in plan.study.tasks for arm in plan.study.search]
    return [
        SearchRecord(
            task=choice.task,
            arm=choice.arm,
            metric=choice.metric,
            tried=[(dict(values), score) for values, score in choice.tried],
            chosen=dict(choice.chosen),
        )
        for choice in choices
        if choice is not None
    ]


def _environments(plan: StudyPlan, cells: Any) -> list[dict[str, Any]]:
    """Versions and machines of the cells, each once."""
    records = [plan.ledger.record(cell) or {} for cell in cells]
    known = [{k: v for k, v in record["environment"].items() if k != "torch_threads"} for record in records]
    texts = sorted({json.dumps(one, sort_keys=True) for one in known})
    return [json.loads(text) for text in texts]
