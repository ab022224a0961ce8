import warnings
from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats

from alum.core.errors import InputError
from alum.evaluation.scores.set_metrics import SetMetric, set_metric
from alum.evaluation.scores.statistics import (
    compare,
    compare_set_metric,
    holm,
    mcnemar,
    mean_interval,
    ratio_interval,
    reflected_interval,
    set_metric_interval,
)

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# -- intervals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("num_right", "num_rows"), [(140, 200), (0, 20), (20, 20), (1, 1)])
def test_the_interval_of_a_rate_is_wilsons(num_right, num_rows):
    """Wilson 1927: (p + z²/2n ± z √(p (1 - p) / n + z²/4n²)) / (1 + z²/n)."""
    p, z = num_right / num_rows, NormalDist().inv_cdf(0.975)
    centre, half = p + z**2 / (2 * num_rows), z * np.sqrt(p * (1 - p) / num_rows + z**2 / (4 * num_rows**2))
    expected = np.array([centre - half, centre + half]) / (1 + z**2 / num_rows)
    assert mean_interval([1.0] * num_right + [0.0] * (num_rows - num_right)) == pytest.approx(expected, abs=1e-12)


def test_the_interval_of_a_mean_is_near_the_normal_one():
    scores = RNG.normal(3.0, 2.0, 400)
    expected = scores.mean() + np.array([-1.645, 1.645]) * scores.std() / 20
    assert mean_interval(scores, confidence=0.9) == pytest.approx(expected, abs=0.03)


def test_no_row_has_no_interval():
    with pytest.raises(InputError, match="at least one row"):
        mean_interval([])
    with pytest.raises(InputError, match="at least one row"):
        set_metric_interval(set_metric("f1", [], []))


def test_clusters_that_are_all_right_are_as_many_tries_and_no_more():
    contexts = [i // 10 for i in range(200)]
    assert mean_interval([1.0] * 200, contexts) == mean_interval([1.0] * 20)


def test_the_interval_over_clusters_is_that_of_their_means():
    """Of equal clusters: the mean of cluster means, with their deviation over √clusters."""
    effect = np.repeat(RNG.normal(size=100), 8)
    scores = effect + 0.1 * RNG.normal(size=800)
    means = scores.reshape(100, 8).mean(1)
    expected = means.mean() + np.array([-1.96, 1.96]) * means.std() / 10
    found = mean_interval(scores, [i // 8 for i in range(800)])
    assert found == pytest.approx(expected, abs=0.03)
    assert found.high - found.low > 2 * (mean_interval(scores).high - mean_interval(scores).low)


def test_the_same_seed_gives_the_same_interval():
    scores = RNG.random(50)
    assert mean_interval(scores, seed=3) == mean_interval(scores, seed=3) != mean_interval(scores)


def test_the_interval_of_a_correlation_is_near_fishers():
    """Fisher 1921: atanh r is about normal with a standard deviation of 1/√(n - 3) for normal data."""
    x, noise = RNG.normal(size=(2, 500))
    y = 0.6 * x + 0.8 * noise
    r = np.corrcoef(x, y)[0, 1]
    expected = np.tanh(np.arctanh(r) + np.array([-1.96, 1.96]) / 497**0.5)
    assert set_metric_interval(set_metric("pearson", x, y)) == pytest.approx(expected, abs=0.03)


def test_a_distance_that_chance_makes_larger_has_the_truth_in_its_interval():
    """Of |mean| of normal numbers around 0, drawn anew 40 times, where percentiles hold the truth never."""
    held, rng = 0, np.random.default_rng(1)
    for _ in range(40):
        rows = np.stack((rng.normal(size=200), np.ones(200)), axis=1)
        metric = SetMetric(rows, lambda sums: np.abs(sums[..., 0]) / sums[..., 1])
        low, high = reflected_interval(metric)
        assert 0 <= low <= metric.value <= high
        held += low == 0
        assert set_metric_interval(metric).low > 0
    assert held >= 36


def test_a_metric_that_is_nowhere_defined_has_no_interval():
    with pytest.raises(InputError, match="in no resample"):
        set_metric_interval(set_metric("pearson", [1.0, 1.0, 1.0], [1.0, 2.0, 3.0]))


# -- rates over a random denominator -----------------------------------------------------------------------------------


def test_the_interval_of_a_ratio_is_near_the_delta_methods():
    """The variance of a ratio R of means is about Var(a - R·b) / (n·mean(b)²) (Cochran 1977, section 2.11)."""
    attacked = (RNG.random(600) < 0.8).astype(float)
    succeeded = attacked * (RNG.random(600) < 0.4)
    ratio = succeeded.sum() / attacked.sum()
    deviation = (succeeded - ratio * attacked).std() / 600**0.5 / attacked.mean()
    expected = ratio + np.array([-1.96, 1.96]) * deviation
    assert ratio_interval(succeeded, attacked) == pytest.approx(expected, abs=0.01)


def test_rows_outside_the_denominator_change_nothing_about_a_rate():
    assert ratio_interval([1, 1, 1, 0, 0], [1, 1, 1, 0, 0]) == mean_interval([1, 1, 1])
    assert ratio_interval([1, 0, 1, 0, 0], [1, 1, 1, 0, 0]) == mean_interval([1, 0, 1])


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
        (0, 5, 0.5**5),
        (1, 9, (2 * (1 + 10) - 10) * 0.5**10),
        (2, 8, (2 * (1 + 10 + 45) - 45) * 0.5**10),
        (6, 6, 1.0),
        (0, 0, 1.0),
    ],
)
def test_mcnemar_is_the_sign_test_on_discordant_rows_whose_outcome_counts_half(only_first, only_second, expected):
    first, second = scores_with(7, only_first, only_second, 3)
    assert mcnemar(first, second) == pytest.approx(expected)
    assert mcnemar(second, first) == pytest.approx(expected)


def test_three_rows_are_never_certain():
    found = compare([0.3] * 3, [0.5] * 3)
    assert found.difference == pytest.approx(0.2)
    assert found.p_value == 2 / 2**3  # the two outcomes of eight in which all signs are one
    assert found.low < 0 < 0.2 < found.high


def test_models_that_agree_on_fifty_rows_may_still_differ():
    """Bonett and Price 2012: one discordant row more each way, (1 ± 1 … ) / 52."""
    found = compare([1.0] * 50, [1.0] * 50)
    half = 1.96 * np.sqrt((1 + 1) / 52 / 52)
    assert (found.low, found.high) == pytest.approx((-half, half), rel=0.04)
    assert found.p_value == 1.0


def test_rates_do_not_differ_by_more_than_one():
    one = compare([0.0], [1.0])
    assert (one.low, one.high) == (-1.0, 1.0)
    errors = compare([10.0, 0.0], [0.0, 20.0])  # which have no bound
    assert errors.low < -1
    assert errors.high > 1


def test_the_interval_of_a_difference_of_rates_is_bonett_and_prices():
    """p̃ = (n + 1) / (N + 2) of both kinds of discordant rows; d ± z √((p̃₁ + p̃₂ - d²) / (N + 2))."""
    found = compare(*scores_with(50, 3, 20, 27))
    only_first, only_second = 4 / 102, 21 / 102
    difference = only_second - only_first
    half = 1.96 * np.sqrt((only_first + only_second - difference**2) / 102)
    assert (found.low, found.high) == pytest.approx((difference - half, difference + half), rel=0.04)
    assert (found.difference, found.test, found.num_rows) == (pytest.approx(0.17), "mcnemar", 100)


def test_the_difference_of_pairs_is_surer_than_that_of_strangers():
    """Scores that share a large part: the interval is that of the mean of the differences, n⁻½ · their deviation."""
    shared, noise = RNG.normal(0, 5, 300), RNG.normal(0.5, 1, 300)
    found = compare(shared, shared + noise)
    assert found.difference == pytest.approx(noise.mean())
    expected = noise.mean() + np.array([-1.96, 1.96]) * noise.std() / 300**0.5
    assert (found.low, found.high) == pytest.approx(expected, abs=0.2)
    assert found.p_value == 1 / 2000  # the observed outcome, and none of 1999 others


def test_the_p_value_is_near_the_t_tests():
    first, second = RNG.normal(size=(2, 200))
    second += first + 0.12
    expected = stats.ttest_rel(second, first).pvalue
    assert 0.01 < expected < 0.9
    assert compare(first, second).p_value == pytest.approx(expected, abs=0.03)


def test_the_p_value_is_that_of_scipys_permutations():
    first, second = RNG.random((2, 12))
    theirs = stats.permutation_test(
        (second, first), lambda x, y, axis: (x - y).mean(axis), permutation_type="samples", vectorized=True
    )
    assert compare(first, second).p_value == pytest.approx(theirs.pvalue)


def test_equal_scores_do_not_differ():
    found = compare([0.2, 0.7], [0.2, 0.7])
    assert (found.difference, found.p_value) == (0.0, 1.0)
    assert found.low == pytest.approx(-found.high)


def test_clusters_are_swapped_as_one():
    """Four contexts of five rows, all better: two of the sixteen ways to swap them are as far."""
    contexts = [i // 5 for i in range(20)]
    first, second = RNG.random(20) / 2, 0.5 + RNG.random(20) / 2
    assert compare(first, second, contexts).p_value == 2 / 2**4
    assert compare(first, second).p_value < 0.01


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize("name", ["f1_macro", "matthews_correlation", "pearson", "spearman"])
def test_sets_are_compared_as_by_drawing_row_by_row(name):
    rng = np.random.default_rng(5)
    gold = rng.integers(3, size=80)
    better, worse = (np.where(rng.random(80) < share, gold, rng.integers(3, size=80)) for share in (0.7, 0.5))
    found = compare_set_metric(set_metric(name, gold, worse), set_metric(name, gold, better))

    def difference(first, second):
        return set_metric(name, gold, second).value - set_metric(name, gold, first).value

    drawn = []
    for _ in range(2000):
        swap = rng.random(80) < 0.5
        drawn.append(abs(difference(np.where(swap, better, worse), np.where(swap, worse, better))))
    observed = difference(worse, better)
    assert found.difference == pytest.approx(observed)
    assert found.p_value == pytest.approx(np.mean(np.array(drawn) >= abs(observed)), abs=0.05)
    resampled = []
    for _ in range(2000):
        rows = rng.integers(80, size=80)
        pair = (set_metric(name, gold[rows], model[rows]).value for model in (better, worse))
        resampled.append(next(pair) - next(pair))
    assert (found.low, found.high) == pytest.approx(np.quantile(resampled, (0.025, 0.975)), abs=0.06)


def test_sets_that_agree_may_still_differ():
    rows = [0, 1] * 25
    same = set_metric("f1", rows, rows)
    found = compare_set_metric(same, same)
    as_rates = compare(rows, rows)
    assert (found.difference, found.p_value) == (0.0, 1.0)
    assert (found.low, found.high) == (as_rates.low, as_rates.high)


def test_scores_on_other_rows_are_refused():
    for pair in (([1.0], [1.0, 0.0]), ([], [])):
        with pytest.raises(InputError, match="the same rows"):
            compare(*pair)


# -- several comparisons -----------------------------------------------------------------------------------------------


def test_holms_adjustment_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_family_counts_once():
    found = holm([0.02, 0.01, 0.04], ["curve", "curve", "other"])
    assert found == pytest.approx([0.04, 0.02, 0.04])


# -- coverage and size, by simulation ----------------------------------------------------------------------------------

SIMULATIONS = 300
THREE_DEVIATIONS = 3 * np.sqrt(0.05 * 0.95 / SIMULATIONS)


def held_and_rejected(draw, truth, clusters=None):
    """Shares of simulations whose interval holds the true difference, and whose p-value is below 0.05."""
    found = [compare(*draw(), clusters) for _ in range(SIMULATIONS)]
    held = np.mean([one.low <= truth <= one.high for one in found])
    return held, np.mean([one.p_value < 0.05 for one in found])


@pytest.mark.slow
@pytest.mark.parametrize("num_rows", [12, 60, 300])
@pytest.mark.parametrize("rate", [0.7, 0.97])
def test_the_interval_of_a_rate_holds_the_truth(num_rows, rate):
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(SIMULATIONS):
        low, high = mean_interval((rng.random(num_rows) < rate).astype(float))
        held += low <= rate <= high
    assert held / SIMULATIONS > 0.93 - THREE_DEVIATIONS


@pytest.mark.slow
@pytest.mark.parametrize("num_rows", [12, 60, 300])
@pytest.mark.parametrize("kind", ["rates", "graded", "clustered"])
def test_comparisons_of_equal_models_are_as_sure_as_they_say(num_rows, kind):
    rng = np.random.default_rng(2)

    def rates():
        hard = rng.random(num_rows)
        return tuple((0.5 * hard + 0.5 * rng.random(num_rows) < 0.6).astype(float) for _ in range(2))

    def graded():
        hard = rng.random(num_rows)
        return tuple(np.clip(hard + rng.normal(0, 0.4, num_rows), 0, 1) for _ in range(2))

    def clustered():
        effects = np.repeat(rng.normal(size=(2, num_rows // 4)), 4, axis=1)
        return tuple(effect + rng.normal(0, 0.3, num_rows) for effect in effects)

    clusters = [i // 4 for i in range(num_rows)] if kind == "clustered" else None
    held, rejected = held_and_rejected({"rates": rates, "graded": graded, "clustered": clustered}[kind], 0.0, clusters)
    assert held > 0.93 - THREE_DEVIATIONS
    assert rejected < 0.055 + THREE_DEVIATIONS


@pytest.mark.slow
@pytest.mark.parametrize("name", ["matthews_correlation", "f1_macro", "pearson"])
def test_comparisons_of_sets_are_as_sure_as_they_say(name):
    rng = np.random.default_rng(3)
    held = rejected = 0
    for _ in range(SIMULATIONS):
        gold = rng.integers(2, size=150)
        pair = (np.where(rng.random(150) < 0.7, gold, 1 - gold) for _ in range(2))
        if name == "pearson":
            pair = (gold + rng.normal(size=150) for _ in range(2))
        found = compare_set_metric(*(set_metric(name, gold, model) for model in pair))
        held += found.low <= 0 <= found.high
        rejected += found.p_value < 0.05
    assert held / SIMULATIONS > 0.93 - THREE_DEVIATIONS
    assert rejected / SIMULATIONS < 0.055 + THREE_DEVIATIONS
