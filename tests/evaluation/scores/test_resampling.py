"""Sums of resamples and of swapped pairs, against their moments and against drawing row by row."""

import time

import numpy as np
import pytest

from alum.evaluation.scores import resampling
from alum.evaluation.scores.resampling import by_cluster, resampled_sums, swapped_sums


def rng(seed=0):
    return np.random.default_rng(seed)


def ways(monkeypatch, way):
    """Has sums drawn by kinds, row by row, or by the central limit theorem."""
    if way != "kinds":
        monkeypatch.setattr(resampling, "_MOST_KINDS", 0)
        monkeypatch.setattr(resampling, "_MOST_DRAWN", 0 if way == "normal" else 10**9)


VALUES = rng().integers(3, size=(200, 2)).astype(float)


@pytest.mark.parametrize("way", ["kinds", "rows", "normal"])
def test_resamples_have_the_mean_and_the_covariance_of_sums(monkeypatch, way):
    ways(monkeypatch, way)
    sums = resampled_sums(VALUES, 20_000, rng())
    assert sums.shape == (20_000, 2)
    assert sums.mean(0) == pytest.approx(VALUES.sum(0), rel=0.01)
    assert np.cov(sums.T) == pytest.approx(200 * np.cov(VALUES.T), rel=0.06, abs=3)


@pytest.mark.parametrize("way", ["kinds", "rows", "normal"])
def test_swapped_sums_are_of_a_random_half(monkeypatch, way):
    ways(monkeypatch, way)
    sums, is_exact = swapped_sums(VALUES, 20_000, rng())
    assert not is_exact
    assert sums.mean(0) == pytest.approx(VALUES.sum(0) / 2, rel=0.01)
    assert np.cov(sums.T) == pytest.approx(VALUES.T @ VALUES / 4, rel=0.06, abs=3)


def test_few_are_swapped_in_every_way():
    sums, is_exact = swapped_sums(np.array([[1.0], [10.0], [100.0]]), 50, rng())
    assert is_exact
    assert sorted(sums[:, 0]) == [0, 1, 10, 11, 100, 101, 110, 111]


def test_rows_are_summed_by_cluster():
    assert by_cluster(np.array([[1.0], [2.0], [4.0]]), ["x", "y", "x"]).tolist() == [[5.0], [2.0]]
    assert by_cluster(VALUES, None) is VALUES


def test_fifty_thousand_rows_take_less_than_half_a_second():
    values = rng().normal(size=(50_000, 6))
    start = time.process_time()
    resampled_sums(values, 1999, rng())
    resampled_sums(np.round(values[:, :1]), 1999, rng())
    assert time.process_time() - start < 1.0
