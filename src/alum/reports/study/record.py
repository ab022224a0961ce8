"""Types of a study's record, ``results.json``: what its page and its tables are made from."""

from typing import Any, Literal, TypedDict

Verdict = Literal["better", "worse", "undecided"]


class ArmScore(TypedDict):
    """Mean of a metric over seeds, with its 95 % interval over seeds and rows, and the value of each seed."""

    task: str
    arm: str
    attack: str | None
    epsilon: float | None
    metric: str
    is_main: bool
    value: float
    low: float
    high: float
    num_rows: int | None
    by_seed: dict[str, float]


class ArmComparison(TypedDict):
    """Difference of an arm from a baseline, paired by seed and row.

    ``p_adjusted`` is by Holm over all comparisons with this baseline. ``more_seeds`` would decide it if difference and
    variances stayed as they are; None where it is decided, or would not be by ten times as many seeds.
    """

    task: str
    arm: str
    baseline: str
    attack: str | None
    epsilon: float | None
    metric: str
    is_main: bool
    difference: float
    low: float
    high: float
    p_value: float
    p_adjusted: float
    verdict: Verdict
    num_seeds: int
    num_rows: int | None
    more_seeds: int | None


class ArmCost(TypedDict):
    """Mean cost of an arm's trainings on a task; ``times_standard`` is its FLOPs over standard training's."""

    task: str
    arm: str
    num_seeds: int
    flops: float | None
    seconds: float
    times_standard: float | None


class ArmCurve(TypedDict):
    """Mean validation score of an arm's trainings on a task by its main metric, at the steps at which all have one."""

    task: str
    arm: str
    metric: str
    num_seeds: int
    steps: list[int]
    values: list[float]


class ArmAnswer(TypedDict):
    """Comparison of an arm with a baseline over all tasks, by their main metrics without an attack, in words too."""

    arm: str
    baseline: str
    better: int
    worse: int
    undecided: int
    more_seeds: int | None
    would_decide: int
    sentence: str


class SearchRecord(TypedDict):
    """Values that were searched for an arm on a task: the mean validation score of each, and what was chosen."""

    task: str
    arm: str
    metric: str
    tried: list[tuple[dict[str, Any], float | None]]
    chosen: dict[str, Any]


class StudyRecord(TypedDict):
    """Contents of a study's ``results.json``."""

    schema_version: int
    settings: dict[str, Any]
    environments: list[dict[str, Any]]
    arms: list[str]
    tasks: list[str]
    seeds: list[int]
    num_cells: int
    missing: list[str]
    notes: list[str]
    answers: list[ArmAnswer]
    scores: list[ArmScore]
    comparisons: list[ArmComparison]
    costs: list[ArmCost]
    curves: list[ArmCurve]
    searches: list[SearchRecord]
