"""Figures of a training's record, and how they are written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from studies.evidence import few_labels

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Figure:
    """A figure of a training's record, and how it is written."""

    name: str
    of: Callable[[Record], float]
    digits: int = 3
    better: str = "lower"

    def mean(self, records: Sequence[Record]) -> str:
        return f"{fmean(map(self.of, records)):.{self.digits}f}"


def _best(record: Record) -> Record:
    best: Record = record["epochs"][record["best_epoch"] - 1]
    return best


def _of_text(split: str, score: str) -> Callable[[Record], float]:
    return lambda record: float(record[split][score])


def _of_task(split: str, score: str) -> Callable[[Record], float]:
    return lambda record: float(_best(record)[split][score])


def _under_pgd(place: int) -> Callable[[Record], float]:
    return lambda record: float(_best(record)["pgd"][place]["accuracy"])


TEXT_FIGURES = (
    Figure("validation", _of_text("validation", "loss")),
    Figure("test", _of_text("test", "loss")),
    Figure("other text", _of_text("other", "loss")),
    Figure("ECE, test", _of_text("test", "expected_calibration_error")),
    Figure("best epoch", lambda record: record["best_epoch"], 0),
    Figure("cost to it", lambda record: record["cost_to_best"], 0),
)
TASK_FIGURES = (
    Figure("NLL", _of_task("test", "negative_log_likelihood")),
    Figure("after temperature", _of_task("test_after_temperature", "negative_log_likelihood")),
    Figure("accuracy", _of_task("test", "accuracy"), better="higher"),
    Figure("ECE", _of_task("test", "expected_calibration_error")),
    *(
        Figure(f"PGD, ε {radius}", _under_pgd(place), better="higher")
        for place, radius in enumerate(few_labels.RADII, start=1)
    ),
)
