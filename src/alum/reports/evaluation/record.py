"""Types of an evaluation's record, ``results.json``, as ``docs/results.schema.json`` describes it (version 1)."""

from typing import Any, Literal, TypedDict

Probabilities = dict[str, float]  # by label name
Level = dict[str, float | None]  # value, low and high


class ModelRecord(TypedDict):
    name: str
    path: str
    num_parameters: int | None  # of a function nobody knows


class SuiteRecord(TypedDict):
    name: str
    kind: str
    main_metric: str
    num_rows: int
    num_rows_available: int
    source: str
    licence: str
    citation: str
    label_names: list[str]


class AttackRecord(TypedDict):
    name: str
    family: Literal["noise", "embedding", "text"]
    source: str
    differs: str
    settings: dict[str, Any]
    may_change_label: bool


class ScoreRecord(TypedDict):
    model: str
    suite: str
    attack: str | None
    epsilon: float | None
    group: str | None
    metric: str
    value: float | None
    low: float | None
    high: float | None
    num_rows: int
    clean: Level | None  # of the same rows without the attack


class ComparisonRecord(TypedDict):
    suite: str
    attack: str | None
    epsilon: float | None
    metric: str
    baseline: str
    model: str
    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    p_adjusted: float | None
    test: Literal["mcnemar", "permutation"]
    num_rows: int


class ReliabilityBinRecord(TypedDict):
    num_rows: int
    confidence: float
    accuracy: float


class CalibrationLevelRecord(TypedDict):
    negative_log_likelihood: Level
    brier_score: Level
    expected_calibration_error: Level
    bins: list[ReliabilityBinRecord]


class CalibrationRecord(TypedDict):
    model: str
    suite: str
    attack: str | None
    epsilon: float | None
    temperature: float | None  # fitted on rows apart, without an attack
    raw: CalibrationLevelRecord
    after_temperature: CalibrationLevelRecord | None
    num_rows: int


class CheckPartRecord(TypedDict):
    name: str
    passed: bool | None
    expected: str
    found: str
    figures: dict[str, float]


class CheckRecord(TypedDict):
    model: str
    suite: str
    name: Literal["gradient_masking"]
    passed: bool
    parts: list[CheckPartRecord]


class ChangeRecord(TypedDict):
    text: int
    word: int
    old: str
    new: str


class ExampleRecord(TypedDict):
    model: str
    suite: str
    attack: str
    row: int
    label: str
    outcome: Literal["succeeded", "failed"]
    original: list[str]
    perturbed: list[str]
    changes: list[ChangeRecord]
    before: str
    after: str
    before_probabilities: Probabilities | None
    after_probabilities: Probabilities | None
    num_queries: int
    changed_content_share: float
    similarity: float | None  # where an encoder was named
    perplexity_ratio: float | None  # where a masked language model was named


class GainRecord(TypedDict):
    model: str
    suite: str
    method: str
    gain: float
    divergence: float


class EvaluationRecord(TypedDict):
    schema_version: Literal[1]
    created: str
    elapsed_seconds: float
    settings: dict[str, Any]
    environment: dict[str, Any]
    models: list[ModelRecord]
    suites: list[SuiteRecord]
    attacks: list[AttackRecord]
    scores: list[ScoreRecord]
    comparisons: list[ComparisonRecord]
    calibration: list[CalibrationRecord]
    checks: list[CheckRecord]
    examples: list[ExampleRecord]
    gains: list[GainRecord]
