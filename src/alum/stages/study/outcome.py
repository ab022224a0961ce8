"""Outcome of a study: from the records of its finished cells to scores, comparisons, costs and sentences."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from statistics import fmean
from typing import Any

import yaml

from alum.evaluation.scores.seeds import difference_over_seeds, level_over_seeds
from alum.reports.study.record import ArmCost, ArmCurve, ArmScore, SearchRecord, StudyRecord
from alum.reports.study.words import answers_of
from alum.stages.study.cells.cell_run import scores_by_step
from alum.stages.study.cells.finetune_cell import FinetuneCell
from alum.stages.study.cells.ledger import Cell
from alum.stages.study.cells.pretrain_cell import PretrainCell
from alum.stages.study.comparing.comparisons import (
    STUDY_SCHEMA_VERSION,
    ArmDifference,
    arm_score,
    compared_arms,
)
from alum.stages.study.measured import MeasuredTask, measured_task, measured_text
from alum.stages.study.planning import CellPlace, Choice, StudyPlan
from alum.stages.study.settings import PRETRAIN, STANDARD, STANDARD_PLUS


def outcome_of(plan: StudyPlan) -> StudyRecord:
    """Sums up the finished cells of a study for ``results.json``; names those that are missing."""
    found = {place: cell for place, cell in plan.cells().items() if plan.ledger.record(cell) is not None}
    trained = {cell.key: cell for cell in (*found.values(), *_pretrainings_of(plan, found))}
    measured = _measured(plan, found)
    differences = [one for task in measured for one in _differences(plan, task)]
    comparisons = [
        entry
        for baseline in (STANDARD, STANDARD_PLUS)
        for entry in compared_arms([one for one in differences if one.baseline == baseline])
    ]
    return StudyRecord(
        schema_version=STUDY_SCHEMA_VERSION,
        settings=yaml.safe_load(plan.study.written()),
        environments=_environments(plan, trained.values()),
        arms=list(plan.study.arms),
        tasks=[name for task in measured for name in _names(plan, task.name)],
        seeds=list(plan.study.seeds),
        num_cells=len(trained),
        missing=[f"{p.task}, {p.arm}, seed {p.seed}" for p in plan.places() if p not in found],
        notes=list(_notes(plan, trained.values(), measured)),
        answers=answers_of(comparisons),
        scores=[score for task in measured for score in _scores(plan, task)],
        comparisons=comparisons,
        costs=list(_costs(plan, found)),
        curves=list(_curves(plan, found)),
        searches=_searches(plan),
    )


def _pretrainings_of(plan: StudyPlan, found: Mapping[CellPlace, Cell]) -> list[PretrainCell]:
    """Pre-trainings that the fine-tunings of these places went on from."""
    places = [place for place in found if place.task in plan.study.tasks and plan.study.pretrains(place.arm)]
    cells = [plan.pretraining(place.arm, place.seed) for place in places]
    return [cell for cell in cells if cell is not None]


def _measured(plan: StudyPlan, found: Mapping[CellPlace, Cell]) -> list[MeasuredTask]:
    """Texts and tasks in the order of the study, with what was measured."""
    texts = [
        measured_text(plan, text, {p: c for p, c in found.items() if p.task == text and isinstance(c, PretrainCell)})
        for text in plan.study.texts
    ]
    tasks = [
        measured_task(plan, task, {p: c for p, c in found.items() if p.task == task and isinstance(c, FinetuneCell)})
        for task in plan.study.tasks
    ]
    return [*texts, *tasks]


def _names(plan: StudyPlan, task: str) -> list[str]:
    """Names of a task and of its further suites on the page."""
    return [task, *(f"{task} → {suite}" for suite in plan.study.tasks.get(task, {}).get("suites", {}))]


def _scores(plan: StudyPlan, task: MeasuredTask) -> Iterator[ArmScore]:
    for measure, by_arm in task.metrics.items():
        for arm in (one for one in plan.study.arms if one in by_arm):
            of_seeds = by_arm[arm]
            num_rows = len(next(iter(of_seeds.values())).rows)
            clusters = None if arm in task.apart else task.clusters[measure]
            spread = level_over_seeds(list(of_seeds.values()), clusters)
            yield arm_score(measure, arm, spread, {seed: metric.value for seed, metric in of_seeds.items()}, num_rows)


def _differences(plan: StudyPlan, task: MeasuredTask) -> Iterator[ArmDifference]:
    """Yields every arm's difference from each baseline, over the seeds that both have."""
    for measure in task.metrics:
        for baseline in (STANDARD, STANDARD_PLUS):
            for arm in plan.study.arms:
                if arm == baseline or (arm, baseline) == (STANDARD, STANDARD_PLUS):
                    continue
                if pairs := task.pairs(measure, arm, baseline):
                    first, second = zip(*pairs, strict=True)
                    spread = difference_over_seeds(first, second, task.clusters[measure])
                    yield ArmDifference(measure, arm, baseline, spread, len(first[0].rows))


# -- what stands beside ------------------------------------------------------------------------------------------------


def _costs(plan: StudyPlan, found: Mapping[CellPlace, Cell]) -> Iterator[ArmCost]:
    """Mean cost of each arm on each task, and its FLOPs over those of standard training with the same seeds."""
    for task in (*plan.study.texts, *plan.study.tasks):
        flops, seconds = (_cost_by_arm(plan, task, found, unit) for unit in ("train_flops", "train_seconds"))
        standard = flops.get(STANDARD, {})
        for arm, of_seeds in seconds.items():
            own = flops[arm]
            both = [seed for seed in own.keys() & standard.keys() if own[seed] and standard[seed]]
            is_counted = all(own.values()) and all(standard.values())
            ratios = [own[seed] / standard[seed] for seed in sorted(both)] if is_counted else []
            for name in _names(plan, task):
                yield ArmCost(
                    task=name,
                    arm=arm,
                    num_seeds=len(of_seeds),
                    flops=fmean(own.values()) if is_counted else None,
                    seconds=fmean(of_seeds.values()),
                    times_standard=fmean(ratios) if ratios else None,
                )


def _cost_by_arm(plan: StudyPlan, task: str, found: Mapping[CellPlace, Cell], unit: str) -> dict[str, dict[int, float]]:
    """Cost of each arm's finished trainings on a task by seed, 0 where it was not counted."""
    costs: dict[str, dict[int, float]] = {}
    for place in found:
        if place.task == task:
            costs.setdefault(place.arm, {})[place.seed] = plan.cost(place, unit) or 0.0
    return {arm: costs[arm] for arm in plan.study.arms if arm in costs}


def _curves(plan: StudyPlan, found: Mapping[CellPlace, Cell]) -> Iterator[ArmCurve]:
    """Yields the mean validation score of each arm on each task over the steps, where it was measured on the way."""
    for task in plan.study.tasks:
        metric = plan.inputs.main_metrics[task]
        for arm in plan.study.arms:
            cells = [cell for place, cell in found.items() if (place.task, place.arm) == (task, arm)]
            of_seeds = [scores_by_step(plan.ledger.place(cell.key), metric) for cell in cells]
            steps = sorted(set(of_seeds[0]).intersection(*of_seeds[1:])) if of_seeds else []
            if len(steps) > 1:
                values = [fmean(scores[step] for scores in of_seeds) for step in steps]
                yield ArmCurve(task=task, arm=arm, metric=metric, num_seeds=len(cells), steps=steps, values=values)


def _searches(plan: StudyPlan) -> list[SearchRecord]:
    choices: list[Choice | None] = [plan.pretraining_choice(arm) for arm in plan.study.search]
    choices += [plan.choice(task, arm) for task in plan.study.tasks for arm in plan.study.search]
    return [
        SearchRecord(
            task=choice.task or (PRETRAIN if plan.study.tasks else ", ".join(plan.study.texts)),
            arm=choice.arm,
            metric=choice.metric,
            tried=[(dict(values), score if math.isfinite(score) else None) for values, score in choice.tried],
            chosen=dict(choice.chosen),
        )
        for choice in choices
        if choice is not None
    ]


def _notes(plan: StudyPlan, cells: Any, measured: list[MeasuredTask]) -> Iterator[str]:
    """Yields what a reader of the numbers has to know besides."""
    versions = Counter((plan.ledger.record(cell) or {})["environment"]["alum"] for cell in cells)
    if len(versions) > 1:
        counts = ", ".join(f"{count} by {version}" for version, count in sorted(versions.items()))
        yield (
            f"These trainings were made by different versions of alum: {counts}. Differences between arms may be "
            "differences between versions, unless each arm has cells of each."
        )
    for task in measured:
        for arm in sorted(task.apart):
            yield (
                f"{arm} was measured on other tokens of {task.name} than {STANDARD}, as its tokenizer has them: it is "
                "not compared with the others there."
            )


def _environments(plan: StudyPlan, cells: Any) -> list[dict[str, Any]]:
    """Versions and machines of the cells, each once."""
    records = [plan.ledger.record(cell) or {} for cell in cells]
    known = [{k: v for k, v in record["environment"].items() if k != "torch_threads"} for record in records]
    texts = sorted({json.dumps(one, sort_keys=True) for one in known})
    return [json.loads(text) for text in texts]
