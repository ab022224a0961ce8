"""Regression in evaluation: a number for a text or a pair, wrong where it errs by more than a tolerance."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from alum.attacks.text.protocol import Goal, OutsideTolerance, VictimOutputs
from alum.evaluation.kinds.base import AttackableRow, AttackedKind, WrongAnswers, is_right
from alum.evaluation.kinds.sequence_classification import ClassifierVictim
from alum.evaluation.label_names import LabelMapping, check_one_output
from alum.evaluation.scores.set_metrics import SetMetric, set_metric
from alum.models.inputs import Inputs
from alum.models.text_model import TextModel
from alum.tasks.kinds.regression import numbers_in, within_tolerance
from alum.tasks.rows import TaskRows


class EvaluatedRegression(AttackedKind):
    """Regression in evaluation: attacks change the text, or the last of a pair, to get an error above tolerance."""

    def in_labels_of(
        self, model_names: Sequence[str], rows: TaskRows, suite: str, are_own: bool
    ) -> tuple[TaskRows, LabelMapping | None]:
        check_one_output(model_names, suite)
        return rows, None

    def wrong_answers(self, tolerance: float | None) -> WrongAnswers | None:
        if tolerance is None:
            return None

        def too_far_off(outputs: Any, inputs: Inputs) -> Tensor:
            wrong: Tensor = (outputs["logits"].float().squeeze(-1) - inputs["labels"]).abs() > tolerance
            return wrong

        return too_far_off

    def row_scores(self, predictions: Sequence[Any], rows: TaskRows, tolerance: float) -> dict[str, list[float]]:
        scores = self.supervision.row_scores(predictions, rows)
        return {"within_tolerance": within_tolerance(scores["squared_error"], tolerance)}

    def set_metric(self, name: str, predictions: Sequence[Any], rows: TaskRows) -> SetMetric:
        return set_metric(name, numbers_in(rows), predictions)

    def victim(self, model: TextModel, rows: TaskRows, mapping: LabelMapping | None = None) -> ClassifierVictim:
        return ClassifierVictim(model, outputs_of=lambda logits: logits)

    def attackable_rows(self, rows: TaskRows, tolerance: float) -> list[AttackableRow]:
        pairs = zip(rows.examples(), numbers_in(rows), strict=True)
        return [AttackableRow(example, OutsideTolerance(value, tolerance), (-1,)) for example, value in pairs]

    def attack_scores(self, outputs: Sequence[float] | VictimOutputs, goal: Goal) -> dict[str, float]:
        return {"within_tolerance": is_right(outputs, goal)}

    def right_answers(self, rows: TaskRows) -> list[str]:
        return [f"{value:g}" for value in numbers_in(rows)]

    def answer(self, outputs: Sequence[float], label_names: Sequence[str]) -> tuple[str, dict[str, float] | None]:
        return f"{outputs[0]:.3f}", None
