import math

import numpy as np
import pytest

from alum.evaluation.scores.set_metrics import set_metric

GOLD = np.array([0, 0, 1, 1, 1, 0])
FOUND = np.array([0, 1, 1, 1, 0, 0])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # 2 true positives, 2 true negatives, 1 false of each.
        ("matthews_correlation", (2 * 2 - 1 * 1) / math.sqrt(3 * 3 * 3 * 3)),
        ("f1", 2 * 2 / (2 * 2 + 1 + 1)),
        ("f1_macro", 2 / 3),
    ],
)
def test_metrics_of_labels_by_their_counts(name, expected):
    assert set_metric(name, GOLD, FOUND) == pytest.approx(expected)


def test_correlations_by_their_definition():
    gold, found = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 4.0, 9.0, 16.0])
    assert set_metric("spearman", gold, found) == pytest.approx(1)
    cosine = np.dot(gold - gold.mean(), found - found.mean()) / np.linalg.norm(gold - gold.mean())
    assert set_metric("pearson", gold, found) == pytest.approx(cosine / np.linalg.norm(found - found.mean()))


@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_of_constants_there_is_no_correlation(name):
    assert math.isnan(set_metric(name, np.array([1.0, 1.0]), np.array([1.0, 2.0])))


def test_other_names_are_an_error():
    with pytest.raises(KeyError):
        set_metric("accuracy", GOLD, FOUND)
