"""Comparison of finished runs, of `finetune` or `evaluate`, that are grouped by name: each run of a name is a seed.

Of such runs only the metrics are taken, so that intervals are over seeds alone, whatever rows they were measured on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from alum.core.errors import InputError
from alum.data.files import read_json_object
from alum.evaluation.scores.seeds import spread_of_values
from alum.reports.evaluation.scores import ATTACK_METRICS, MEANING_METRICS
from alum.reports.study.page import write_study_page
from alum.reports.study.record import ArmCost, ArmScore, StudyRecord
from alum.reports.study.words import answers_of
from alum.stages.held_folder import held
from alum.stages.runs.folder import RESULTS, check_run_folder, settings_of, write_json
from alum.stages.study.comparing.arguments import CompareArguments
from alum.stages.study.comparing.comparisons import (
    STUDY_SCHEMA_VERSION,
    ArmDifference,
    Measure,
    arm_score,
    compared_arms,
)

_ROBUST = "robust_"
_LESS_IS_BETTER = ("loss", "mse")  # what is larger is called better here


class _Value(NamedTuple):
    """Metric of one run."""

    arm: str
    seed: int
    measure: Measure
    value: float


@dataclass(frozen=True)
class _Run:
    """Finished run: its name, where it is, its results, and its seed, None where it has no record of one."""

    name: str | None
    path: Path
    results: dict[str, Any]
    seed: int | None


def compare_runs(arguments: CompareArguments) -> StudyRecord:
    """Compares runs by name with those of the first name, paired by seed, and writes a page if asked for a folder.

    Raises `InputError` for runs that are none, that are there twice, or that have no seed in common.
    """
    with held(arguments.output_dir or None):
        return _compared(arguments)


def _compared(arguments: CompareArguments) -> StudyRecord:
    folder = check_run_folder(arguments.output_dir) if arguments.output_dir else None
    runs = [_read(text) for text in arguments.runs]
    values = _once([value for run in _numbered(runs) for value in _values(run)])
    arms = list(dict.fromkeys(value.arm for value in values))
    if len(arms) < 2:
        raise InputError("there is one name alone: give runs of two or more, as standard=RUN and alum=RUN.")
    comparisons = compared_arms(list(_differences(values, arms)))
    record = StudyRecord(
        schema_version=STUDY_SCHEMA_VERSION,
        settings={"runs": list(arguments.runs)},
        environments=[],
        arms=arms,
        tasks=list(dict.fromkeys(value.measure.task for value in values)),
        seeds=sorted({value.seed for value in values}),
        num_cells=len(runs),
        missing=[],
        notes=[],
        answers=answers_of(comparisons),
        scores=list(_scores(values, arms)),
        comparisons=comparisons,
        costs=list(_costs(runs)),
        curves=[],
        searches=[],
    )
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / RESULTS, record)
        write_study_page(folder / "report.html", record)
    return record


def _read(text: str) -> _Run:
    """Reads a run that is named ``NAME=PATH`` or ``PATH``."""
    name, separator, path = text.partition("=")
    if not separator or Path(text).exists():
        name, path = "", text
    file = Path(path) / RESULTS if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise InputError(f"{text}: expected a finished run's folder or its {RESULTS}, but there is no {file}.")
    try:
        results = read_json_object(file)
    except InputError as error:
        raise InputError(f"{file} is no {RESULTS} of alum finetune or alum evaluate: {error}") from None
    if not ("scores" in results or {"metrics", "method", "task"} <= results.keys()):
        raise InputError(f"{file} is no {RESULTS} of alum finetune or alum evaluate.")
    return _Run(name or None, file, results, _seed_of(file.parent))


def _seed_of(folder: Path) -> int | None:
    config = settings_of(folder).get("config")
    seed = config.get("seed") if isinstance(config, dict) else None
    return seed if isinstance(seed, int) else None


def _numbered(runs: Sequence[_Run]) -> Iterator[_Run]:
    """Runs that have no record of a seed get their number among those of their name."""
    counts: dict[str | None, int] = {}
    for run in runs:
        counts[run.name] = counts.get(run.name, -1) + 1
        yield run if run.seed is not None else replace(run, seed=counts[run.name])


def _values(run: _Run) -> Iterator[_Value]:
    """Yields the metrics of a run."""
    seed = run.seed
    assert seed is not None
    if "scores" not in run.results:
        metrics = {name: value for name, value in run.results["metrics"].items() if not name.endswith(_LESS_IS_BETTER)}
        for index, (name, value) in enumerate(metrics.items()):
            measure = Measure(run.results["task"], None, None, name, index == 0)
            yield _Value(run.name or run.results["method"], seed, measure, value)
        return
    models = [model["name"] for model in run.results["models"]]
    if run.name is not None and len(models) > 1:
        raise InputError(f"{run.path} is of several models, {', '.join(models)}: give it without a name.")
    mains = {suite["name"]: suite["main_metric"] for suite in run.results["suites"]}
    for score in run.results["scores"]:
        metric = score["metric"].removeprefix(_ROBUST)
        if score["group"] is None and score["value"] is not None and metric not in (*ATTACK_METRICS, *MEANING_METRICS):
            is_main = metric == mains[score["suite"]]
            measure = Measure(score["suite"], score["attack"], score["epsilon"], metric, is_main)
            yield _Value(run.name or score["model"], seed, measure, score["value"])


def _once(values: Sequence[_Value]) -> list[_Value]:
    """Values, of which none may be there twice; raises `InputError`."""
    seen: set[tuple[str, int, Measure]] = set()
    for value in values:
        if value[:3] in seen:
            raise InputError(f"two runs of {value.arm} have seed {value.seed} on {value.measure.task}: leave one out.")
        seen.add(value[:3])
    if not values:
        raise InputError("these runs have no metrics to compare.")
    return list(values)


def _by_seed(values: Sequence[_Value], arm: str, measure: Measure) -> dict[int, float]:
    return {value.seed: value.value for value in values if (value.arm, value.measure) == (arm, measure)}


def _scores(values: Sequence[_Value], arms: Sequence[str]) -> Iterator[ArmScore]:
    for measure in dict.fromkeys(value.measure for value in values):
        for arm in arms:
            if by_seed := _by_seed(values, arm, measure):
                yield arm_score(measure, arm, spread_of_values(list(by_seed.values())), by_seed, None)


def _differences(values: Sequence[_Value], arms: Sequence[str]) -> Iterator[ArmDifference]:
    baseline, *others = arms
    found = 0
    for measure in dict.fromkeys(value.measure for value in values):
        first = _by_seed(values, baseline, measure)
        for arm in others:
            second = _by_seed(values, arm, measure)
            if seeds := sorted(first.keys() & second.keys()):
                found += 1
                differences = [second[seed] - first[seed] for seed in seeds]
                yield ArmDifference(measure, arm, baseline, spread_of_values(differences), None)
    if not found:
        raise InputError(f"no run has task, metric and seed in common with one of {baseline}: nothing can be paired.")


def _costs(runs: Sequence[_Run]) -> Iterator[ArmCost]:
    """Mean cost of the trainings among the runs by task and name, over that of the first name."""
    trained: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for run in runs:
        if "scores" not in run.results:
            trained.setdefault((run.results["task"], run.name or run.results["method"]), []).append(run.results)
    flops = {
        key: fmean(one["train_flops"] for one in results) if all(one["train_flops"] for one in results) else None
        for key, results in trained.items()
    }
    baseline = next((arm for _, arm in trained), "")
    for (task, arm), results in trained.items():
        own, of_baseline = flops[task, arm], flops.get((task, baseline))
        yield ArmCost(
            task=task,
            arm=arm,
            num_seeds=len(results),
            flops=own,
            seconds=fmean(one["train_seconds"] for one in results),
            times_standard=own / of_baseline if own and of_baseline else None,
        )
