"""Token classification in evaluation: hits are counted row by row, so that F1 follows from sums."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from alum.evaluation.kinds.base import EvaluatedKind
from alum.evaluation.scores.set_metrics import SetMetric, set_metric
from alum.tasks.entities import entities, mark_entities
from alum.tasks.kinds.token_classification import tag_names
from alum.tasks.rows import TaskRows


class EvaluatedTagging(EvaluatedKind):
    """Tagging in evaluation, which is measured clean alone."""

    def set_metric(self, name: str, predictions: Sequence[Any], rows: TaskRows) -> SetMetric:
        if name != "f1":
            return super().set_metric(name, predictions, rows)
        gold = tag_names(rows)
        return (
            _f1_of_entities(gold, predictions)
            if mark_entities(rows.label_names)
            else _f1_of_words(gold, predictions, rows)
        )


def _f1_of_entities(gold: Sequence[Sequence[str]], predictions: Sequence[Sequence[str]]) -> SetMetric:
    counts = []
    for right, given in zip(map(entities, gold), map(entities, predictions), strict=True):
        counts.append((len(right & given), len(right) + len(given)))
    return SetMetric(np.array(counts, float), lambda sums: 2 * sums[..., 0] / np.maximum(sums[..., 1], 1))


def _f1_of_words(gold: Sequence[Sequence[str]], predictions: Sequence[Sequence[str]], rows: TaskRows) -> SetMetric:
    """Mean F1 over the labels of words, which a row adds up."""
    ids = {name: index for index, name in enumerate(rows.label_names)}
    flat_gold, flat_found = ([ids[tag] for row in tags for tag in row] for tags in (gold, predictions))
    of_words = set_metric("f1_macro", flat_gold, flat_found)
    sums = np.zeros((len(gold), of_words.rows.shape[1]))
    np.add.at(sums, np.repeat(np.arange(len(gold)), [len(row) for row in gold]), of_words.rows)
    return SetMetric(sums, of_words.of)
