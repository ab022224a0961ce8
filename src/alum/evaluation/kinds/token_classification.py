"""Token classification in evaluation: entities are counted row by row, so that their F1 follows from sums."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from alum.evaluation.kinds.base import EvaluatedKind
from alum.evaluation.scores.set_metrics import SetMetric
from alum.tasks.kinds.token_classification import entities, is_iob, tag_names
from alum.tasks.rows import TaskRows


class EvaluatedTagging(EvaluatedKind):
    """Tagging in evaluation, clean, with typing errors and under PGD; texts are not attacked."""

    def set_metric(self, name: str, predictions: Sequence[Any], rows: TaskRows) -> SetMetric:
        if name != "f1" or not is_iob(rows.label_names):
            return super().set_metric(name, predictions, rows)
        counts = []
        for gold, found in zip(tag_names(rows), predictions, strict=True):
            right, given = entities(gold), entities(found)
            counts.append((len(right & given), len(right) + len(given)))
        return SetMetric(np.array(counts, float), lambda sums: 2 * sums[..., 0] / np.maximum(sums[..., 1], 1))
