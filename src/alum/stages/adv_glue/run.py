"""Models on the tasks of AdvGLUE, each its own, and the average over the tasks that there are."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import fmean

from alum.core.errors import InputError
from alum.data.visible_text import print_visible, visible
from alum.reports.numbers import interval_text, value_text
from alum.reports.tables import show_table
from alum.stages.adv_glue.arguments import ADV_GLUE_TASKS, AdvGlueArguments
from alum.stages.evaluation.arguments import EvaluateArguments
from alum.stages.evaluation.run import evaluate
from alum.stages.held_folder import held
from alum.stages.runs.folder import write_json

_TOGETHER = {"mnli_mismatched": "mnli"}
"""Tasks whose score is averaged with another's first, as GLUE counts the two of MNLI once."""


@dataclass(frozen=True)
class TaskScore:
    """Accuracy of a model on a task of AdvGLUE, between the ends of its 95 % interval; of QQP also F1."""

    task: str
    model: str
    accuracy: float
    low: float
    high: float
    num_rows: int
    f1: float | None = None
    f1_low: float | None = None
    f1_high: float | None = None

    @property
    def averaged(self) -> tuple[float, float, float]:
        """Score that is averaged over tasks, with the ends of its interval: accuracy, or its mean with F1.

        The ends of that mean are the means of the two's, wide enough however the two depend on each other.
        """
        found = self.accuracy, self.low, self.high
        if self.f1 is None or self.f1_low is None or self.f1_high is None:
            return found
        value, low, high = (fmean(pair) for pair in zip(found, (self.f1, self.f1_low, self.f1_high), strict=True))
        return value, low, high


@dataclass(frozen=True)
class AdvGlueResult:
    """Accuracy on each task that was measured, and their average; ``missing`` have no model, or no rows.

    The average is over the tasks that there are, MNLI's two as one, of QQP the mean of accuracy and F1, as that of the
    published rows is (Wang et al. 2021, arXiv:2111.02840); it is AdvGLUE's own only where none is missing.
    """

    tasks: tuple[TaskScore, ...]
    missing: dict[str, str]
    average: float
    low: float
    high: float

    def show(self) -> None:
        """Prints the scores on each task with their intervals, the average, and which tasks it is not over."""
        rows = []
        for score in self.tasks:
            of = [visible(score.model), f"{score.num_rows:,}"]
            rows.append([score.task, *of, *_texts(score.accuracy, score.low, score.high)])
            if score.f1 is not None:
                rows.append([f"{score.task}, F1", *of, *_texts(score.f1, score.f1_low, score.f1_high)])
        rows.append(["average", "", "", *_texts(self.average, self.low, self.high)])
        heads = ("task", "model", "rows", "score", "95 % interval")
        show_table("AdvGLUE, development rows: accuracy, of QQP also F1", heads, rows, num_text_columns=2)
        if self.missing:
            missing = ", ".join(f"{task} ({why})" for task, why in self.missing.items())
            print_visible(f"The average is over these tasks alone, and not AdvGLUE's own. Missing: {missing}.")


def adv_glue(arguments: AdvGlueArguments) -> AdvGlueResult:
    """Measures the model of each task on its rows of AdvGLUE.

    A task without a model, or without rows in ``data_dir``, is left out, and said to be missing. Raises `InputError`
    where none is left, and for models and rows that cannot be used.
    """
    models = arguments.model_by_task
    missing = {task: "no model" for task in ADV_GLUE_TASKS if task not in models}
    suites: dict[str, str] = {}
    for task in models:
        path = f"adv_{task}" if arguments.data_dir is None else _rows_at(Path(arguments.data_dir), task)
        if path is None:
            missing[task] = "no rows"
        else:
            suites[task] = path
    if not suites:
        if not Path(arguments.data_dir or ".").is_dir():
            raise InputError(f"no folder at {arguments.data_dir}: name with --data_dir the one that holds the rows.")
        raise InputError(
            f"{arguments.data_dir} holds none of {', '.join(f'adv_{task}' for task in models)}: expected a folder or "
            "file of each task's name, or adv_glue_ and the task."
        )
    with held(arguments.output_dir):
        scores = tuple(_measured(arguments, task, models[task], suite) for task, suite in suites.items())
        average, low, high = average_of(scores)
        result = AdvGlueResult(
            scores, {task: missing[task] for task in ADV_GLUE_TASKS if task in missing}, average, low, high
        )
        if arguments.output_dir is not None:
            write_json(Path(arguments.output_dir) / "adv_glue.json", asdict(result))
    return result


def average_of(scores: Sequence[TaskScore]) -> tuple[float, float, float]:
    """Mean over tasks, MNLI's two as one and of QQP that of accuracy and F1, and the ends of its interval.

    The arms of the interval of a weighted sum are √Σ (weight · arm)² (Zou and Donner 2008, Statistics in Medicine 27).
    """
    groups: dict[str, list[TaskScore]] = {}
    for score in scores:
        groups.setdefault(_TOGETHER.get(score.task, score.task), []).append(score)
    weighted = [(score.averaged, 1 / (len(groups) * len(group))) for group in groups.values() for score in group]
    mean = math.fsum(weight * value for (value, _, _), weight in weighted)
    below = math.hypot(*(weight * (value - low) for (value, low, _), weight in weighted))
    above = math.hypot(*(weight * (high - value) for (value, _, high), weight in weighted))
    return mean, mean - below, mean + above


def _texts(value: float, low: float | None, high: float | None) -> tuple[str, str]:
    return value_text("accuracy", value), interval_text("accuracy", low, high)


def _rows_at(folder: Path, task: str) -> str | None:
    """Suite with the path of a task's rows, None where the folder has none."""
    for name in (f"adv_{task}", f"adv_glue_{task}"):
        found = [path for path in sorted(folder.glob(f"{name}*")) if path.stem == name]
        if found:
            return f"adv_{task}={found[0]}"
    return None


def _measured(arguments: AdvGlueArguments, task: str, model: str, suite: str) -> TaskScore:
    own = {one.name for one in fields(arguments)} - {"data_dir", "output_dir"}
    shared = {one.name: getattr(arguments, one.name) for one in fields(EvaluateArguments) if one.name in own}
    folder = None if arguments.output_dir is None else str(Path(arguments.output_dir) / task)
    settings = EvaluateArguments(
        model_name_or_path=[f"{task}={model}"], suites=[suite], attacks=["none"], output_dir=folder, **shared
    )
    scores = evaluate(settings).results["scores"]
    whole = {score["metric"]: score for score in scores if score["group"] is None}
    found = whole["accuracy"]
    f1 = [whole["f1"][name] for name in ("value", "low", "high")] if "f1" in whole else []
    values = (found["value"], found["low"], found["high"])
    accuracy, low, high = (math.nan if value is None else value for value in values)
    return TaskScore(task, model, accuracy, low, high, found["num_rows"], *f1)
