import warnings

import numpy as np
import pytest
from scipy import stats

from alum.core.errors import InputError
from alum.evaluation.scores.statistics import (
    bootstrap_interval,
    compare,
    mcnemar,
    paired_bootstrap,
    ratio_interval,
    resampled_interval,
)

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# -- intervals ---------------------------------------------------------------------------------------------------------


def test_the_interval_of_a_rate_is_that_of_the_binomial_distribution():
    """A resample of 0/1 scores of mean p has Binomial(n, p) ones."""
    scores = [1.0] * 140 + [0.0] * 60
    low, high = bootstrap_interval(scores)
    expected = stats.binom(200, 0.7).ppf([0.025, 0.975]) / 200
    assert [low, high] == pytest.approx(expected, abs=1 / 200)


def test_the_interval_of_a_mean_is_near_the_normal_one():
    scores = RNG.normal(3.0, 2.0, 400)
    expected = scores.mean() + np.array([-1.645, 1.645]) * scores.std() / 20
    assert bootstrap_interval(scores, confidence=0.9) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_rows_that_are_all_0_or_all_1_are_not_certain(value):
    """Clopper and Pearson's bound for 0 of n: (1 - low)ⁿ = 0.025."""
    bound = 0.025 ** (1 / 20)
    expected = (0.0, 1 - bound) if value == 0 else (bound, 1.0)
    assert bootstrap_interval([value] * 20) == pytest.approx(expected)


def test_one_row_and_no_row():
    assert bootstrap_interval([0.3]) == (0.3, 0.3)
    assert bootstrap_interval([1.0]) == pytest.approx((0.025, 1.0))
    with pytest.raises(InputError, match="at least one row"):
        bootstrap_interval([])


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """0.95, less four standard deviations of 150 tries (0.0178), and 0.01 that percentile intervals lack here."""
    held = 0
    for _ in range(150):
        low, high = bootstrap_interval((RNG.random(100) < 0.7).astype(float))
        held += low <= 0.7 <= high
    assert held / 150 >= 0.95 - 4 * 0.0178 - 0.01
    assert held < 150


def test_the_same_seed_gives_the_same_interval():
    scores = RNG.random(50)
    assert bootstrap_interval(scores, seed=3) == bootstrap_interval(scores, seed=3) != bootstrap_interval(scores)


def test_the_interval_of_a_correlation_is_near_fishers():
    """Fisher 1921: atanh r is about normal with a standard deviation of 1/√(n - 3) for normal data."""
    x, noise = RNG.normal(size=(2, 500))
    y = 0.6 * x + 0.8 * noise
    found = resampled_interval(lambda rows: np.corrcoef(x[rows], y[rows])[0, 1], 500)
    r = np.corrcoef(x, y)[0, 1]
    expected = np.tanh(np.arctanh(r) + np.array([-1.96, 1.96]) / 497**0.5)
    assert found == pytest.approx(expected, abs=0.03)


def test_resamples_without_a_statistic_are_left_out():
    def share_of_defined(rows):
        return 2.0 if 0 in rows else np.nan

    assert resampled_interval(share_of_defined, 3) == (2.0, 2.0)
    with pytest.raises(InputError, match="in no resample"):
        resampled_interval(lambda rows: np.nan, 3)
    with pytest.raises(InputError, match="at least one row"):
        resampled_interval(len, 0)


# -- rates over a random denominator -----------------------------------------------------------------------------------


def test_the_interval_of_a_ratio_is_near_the_delta_methods():
    """The variance of a ratio R of means is about Var(a - R·b) / (n·mean(b)²) (Cochran 1977, section 2.11)."""
    attacked = (RNG.random(600) < 0.8).astype(float)
    succeeded = attacked * (RNG.random(600) < 0.4)
    ratio = succeeded.sum() / attacked.sum()
    deviation = (succeeded - ratio * attacked).std() / 600**0.5 / attacked.mean()
    expected = ratio + np.array([-1.96, 1.96]) * deviation
    assert ratio_interval(succeeded, attacked) == pytest.approx(expected, abs=0.01)


def test_rows_outside_the_denominator_change_nothing_about_a_rate_of_1():
    low, high = ratio_interval([1, 1, 1, 0, 0], [1, 1, 1, 0, 0])
    assert (low, high) == pytest.approx((0.025 ** (1 / 3), 1.0))


def test_the_mean_over_successes_stays_within_their_values():
    low, high = ratio_interval([0.1, 0.0, 0.3, 0.0, 0.2], [1, 0, 1, 0, 1])
    assert 0.1 <= low < 0.2 < high <= 0.3


def test_a_rate_over_nothing_is_refused():
    with pytest.raises(InputError, match="at least one row"):
        ratio_interval([0, 0], [0, 0])


# -- comparisons -------------------------------------------------------------------------------------------------------


def scores_with(both, only_first, only_second, neither):
    first = [1.0] * (both + only_first) + [0.0] * (only_second + neither)
    second = [1.0] * both + [0.0] * only_first + [1.0] * only_second + [0.0] * neither
    return first, second


@pytest.mark.parametrize(
    ("only_first", "only_second", "expected"),
    [
        (0, 5, 2 * 0.5**5),
        (1, 9, 2 * (1 + 10) * 0.5**10),
        (2, 8, 2 * (1 + 10 + 45) * 0.5**10),
        (6, 6, 1.0),
        (0, 0, 1.0),
    ],
)
def test_mcnemar_is_the_sign_test_on_discordant_rows(only_first, only_second, expected):
    first, second = scores_with(7, only_first, only_second, 3)
    assert mcnemar(first, second) == pytest.approx(expected)
    assert mcnemar(second, first) == pytest.approx(expected)


def test_the_difference_of_pairs_is_surer_than_that_of_strangers():
    """Scores that share a large part: the interval is that of the mean of the differences, n⁻½ · their deviation."""
    shared, noise = RNG.normal(0, 5, 300), RNG.normal(0.5, 1, 300)
    difference, low, high, p_value = paired_bootstrap(shared, shared + noise)
    assert difference == pytest.approx(noise.mean())
    assert (low, high) == pytest.approx(noise.mean() + np.array([-1.96, 1.96]) * noise.std() / 300**0.5, abs=0.02)
    assert p_value == 2 / 2000  # no resample of 1999 is on the other side


def test_the_p_value_is_near_the_t_tests():
    first, second = RNG.normal(size=(2, 200))
    second += first + 0.12
    expected = stats.ttest_rel(second, first).pvalue
    assert 0.01 < expected < 0.9
    assert paired_bootstrap(first, second).p_value == pytest.approx(expected, abs=0.03)


def test_equal_scores_do_not_differ():
    assert paired_bootstrap([0.2, 0.7], [0.2, 0.7]) == (0.0, 0.0, 0.0, 1.0)


def test_the_test_follows_from_the_scores():
    first, second = scores_with(50, 3, 20, 27)
    binary = compare(first, second)
    assert (binary.test, binary.num_rows) == ("mcnemar", 100)
    assert binary.p_value == mcnemar(first, second)
    assert binary.difference == pytest.approx(0.17)
    assert binary.low < 0.17 < binary.high
    graded = compare([*first, 0.5], [*second, 0.5])
    assert (graded.test, graded.p_value) == (
        "paired_bootstrap",
        paired_bootstrap([*first, 0.5], [*second, 0.5]).p_value,
    )


def test_scores_on_other_rows_are_refused():
    for pair in (([1.0], [1.0, 0.0]), ([], [])):
        with pytest.raises(InputError, match="the same rows"):
            compare(*pair)
