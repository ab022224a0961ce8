"""Metrics from sums over rows, against scikit-learn and SciPy on the same rows."""

import math

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import f1_score, matthews_corrcoef

from alum.evaluation.scores.set_metrics import set_metric, set_metric_of_rows, worst_of_variants

RNG = np.random.default_rng(0)
THEIRS = {
    "f1": lambda gold, found: f1_score(gold, found, zero_division=0.0),
    "f1_macro": lambda gold, found: f1_score(gold, found, average="macro", zero_division=0.0),
    "matthews_correlation": matthews_corrcoef,
    "pearson": lambda gold, found: pearsonr(gold, found).statistic,
    "spearman": lambda gold, found: spearmanr(gold, found).statistic,
}


def some(name, seed, count=60):
    rng = np.random.default_rng(seed)
    num_labels = 2 if name == "f1" else 3
    gold = rng.integers(num_labels, size=count)
    found = np.where(rng.random(count) < 0.6, gold, rng.integers(num_labels, size=count))
    if name in ("pearson", "spearman"):
        return gold.astype(float), np.round(gold + rng.normal(size=count), 1)
    return gold, found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", THEIRS)
def test_a_metric_is_that_of_the_libraries(name, seed):
    gold, found = some(name, seed)
    assert set_metric(name, gold, found).value == pytest.approx(THEIRS[name](gold, found))


@pytest.mark.parametrize("name", THEIRS)
def test_rows_may_be_left_out_or_stand_several_times(name):
    gold, found = some(name, 3)
    rows = RNG.integers(60, size=60)
    value = set_metric(name, gold, found).at(rows).value
    # The ranks of a resample are those of the whole set.
    tolerance = 0.03 if name == "spearman" else 1e-9
    assert value == pytest.approx(THEIRS[name](gold[rows], found[rows]), abs=tolerance)


def test_labels_that_are_nowhere_do_not_count():
    gold, found = np.array([0, 0, 2]), np.array([0, 2, 2])
    whole = set_metric("f1_macro", gold, found)
    assert whole.at([0, 0]).value == f1_score(gold[[0, 0]], found[[0, 0]], average="macro") == 1.0


@pytest.mark.parametrize("name", ["f1", "matthews_correlation"])
def test_nothing_over_nothing_is_0(name):
    assert set_metric(name, [0, 0], [0, 0]).value == 0.0


@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_of_constants_there_is_no_correlation(name):
    assert math.isnan(set_metric(name, [1.0, 1.0], [1.0, 2.0]).value)
    assert math.isnan(set_metric(name, [1.0, 2.0], [0.1, 0.1]).value)
    assert math.isnan(set_metric(name, [1.0, 2.0, 5.0], [3.0, 4.0, 5.0]).at([1, 1]).value)


def test_a_metric_that_is_known_of_rows_alone():
    metric = set_metric_of_rows(4, lambda rows: float(np.mean(rows)))
    assert metric.value == 1.5
    assert metric.at([0, 3, 3]).value == 2.0
    assert metric.of(np.array([[2.0, 0, 0, 0], [0, 0, 0, 2.0]])).tolist() == [0.0, 3.0]


def test_other_names_are_an_error():
    with pytest.raises(KeyError):
        set_metric("accuracy", [0], [0])


def test_the_worst_of_variants_is_that_of_jia_and_liangs_script():
    """Their score, written anew: of each question the lowest F1 of its unchanged row and of those with a dash."""
    ids = ["a", "a-turk0", "b", "c", "c-turk1", "c-turk0", "b-turk2"]
    scores = [1.0, 0.2, 0.4, 0.9, 0.3, 0.6, 0.5]
    lowest = {}
    for name, score in zip(ids, scores, strict=True):
        question = name.split("-")[0]
        if question not in lowest or lowest[question] > score:
            lowest[question] = score
    metric = worst_of_variants(scores, [name.split("-")[0] for name in ids])
    assert metric.value == pytest.approx(sum(lowest.values()) / 3) == pytest.approx((0.2 + 0.4 + 0.3) / 3)
    assert metric.at([3, 4, 5]).value == pytest.approx(0.3)
    # Resamples of whole questions: one of them twice.
    assert float(metric.of(metric.rows[[0, 1, 0, 1, 2, 6]].sum(0))) == pytest.approx((0.2 + 0.2 + 0.4) / 3)
