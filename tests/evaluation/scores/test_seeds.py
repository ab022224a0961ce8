import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from alum.evaluation.scores.seeds import difference_over_seeds, level_over_seeds, loss_metric, mean_metric
from alum.evaluation.scores.set_metrics import set_metric


def crossed(rng, num_seeds, num_rows, seeds=0.05, rows=0.3, rest=0.3):
    """Differences ``[seeds, rows]`` with a part of the seed, a part of the row and a rest; their mean is 0."""
    of_seeds, of_rows = rng.normal(0, seeds, (num_seeds, 1)), rng.normal(0, rows, (1, num_rows))
    return of_seeds + of_rows + rng.normal(0, rest, (num_seeds, num_rows))


def spread_of(differences):
    nothing = [mean_metric(np.zeros(differences.shape[1])) for _ in differences]
    return difference_over_seeds(nothing, [mean_metric(row) for row in differences])


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("num_seeds", [2, 3, 5])
def test_intervals_of_a_difference_cover_the_truth_as_often_as_they_say(num_seeds):
    """300 draws: a coverage of 0.95 is measured within 0.04; what few seeds alone make of it is conservative."""
    rng = np.random.default_rng(0)
    intervals = [spread_of(crossed(rng, num_seeds, 40)).interval() for _ in range(300)]
    covered = np.mean([low <= 0 <= high for low, high in intervals])
    assert covered >= 0.91


@pytest.mark.slow
def test_rows_drawn_anew_in_each_seed_would_cover_far_less():
    """Why the rows of a resample are those of all seeds: the plain nested bootstrap, written out here, of 10 seeds."""
    rng = np.random.default_rng(1)
    covered = {"nested": 0, "ours": 0}
    for _ in range(100):
        differences = crossed(rng, 10, 40, seeds=0.01)
        means = []
        for _ in range(200):
            seeds = rng.integers(10, size=10)
            means.append(np.mean([differences[s, rng.integers(40, size=40)].mean() for s in seeds]))
        low, high = np.quantile(means, [0.025, 0.975])
        covered["nested"] += low <= 0 <= high
        low, high = spread_of(differences).interval()
        covered["ours"] += low <= 0 <= high
    assert covered["ours"] >= 90
    assert covered["nested"] <= 75


def test_where_rows_agree_it_is_students_t_over_seeds():
    of_seeds = np.array([0.03, 0.05, 0.01, 0.06])
    spread = spread_of(np.repeat(of_seeds[:, None], 5000, axis=1))
    assert spread.p_value() == pytest.approx(stats.ttest_1samp(of_seeds, 0).pvalue, rel=0.02)
    half = stats.t.ppf(0.975, 3) * of_seeds.std(ddof=1) / 2
    assert spread.interval() == pytest.approx((of_seeds.mean() - half, of_seeds.mean() + half), rel=0.02)


def test_where_seeds_agree_it_is_students_t_over_rows():
    rows = np.random.default_rng(0).normal(0.1, 1, 300)
    spread = spread_of(np.repeat(rows[None], 4, axis=0))
    assert spread.seed_variance == pytest.approx(0, abs=1e-20)
    assert spread.p_value() == pytest.approx(stats.ttest_1samp(rows, 0).pvalue, rel=0.15)


def test_more_seeds_lessen_the_part_of_the_seeds_alone():
    spread = spread_of(crossed(np.random.default_rng(3), 3, 200, seeds=0.3) + 0.3)
    assert spread.seed_variance is not None
    variance, freedom = spread.seed_variance / 30 + spread.row_variance, None
    of_seeds, of_rows = spread.seed_variance / 30, spread.row_variance
    freedom = variance**2 / (of_seeds**2 / 29 + of_rows**2 / 199)
    assert spread.p_value(30) == pytest.approx(2 * stats.t.sf(abs(spread.value) / variance**0.5, freedom))
    assert spread.p_value(30) < spread.p_value()


def test_one_seed_decides_nothing_and_its_interval_is_over_rows():
    scores = [0, 1] * 50
    spread = difference_over_seeds([mean_metric([0] * 100)], [mean_metric(scores)])
    assert spread.value == 0.5
    assert spread.p_value() == 1.0
    assert spread.interval() == pytest.approx((0.5 - 1.984 * 0.05, 0.5 + 1.984 * 0.05), abs=0.01)


def test_arms_that_agree_everywhere_are_not_told_apart_and_not_certain():
    same = [mean_metric([1, 0, 1, 1]) for _ in range(3)]
    spread = difference_over_seeds(same, same)
    assert (spread.value, spread.p_value()) == (0.0, 1.0)
    low, high = spread.interval()
    assert low < 0 < high


def test_rows_that_belong_together_are_drawn_together():
    rows = np.random.default_rng(0).normal(0, 1, 50)
    doubled = np.repeat(rows, 4)
    clusters = np.repeat(np.arange(50), 4).tolist()
    alone = level_over_seeds([mean_metric(rows)] * 3).row_variance
    together = level_over_seeds([mean_metric(doubled)] * 3, clusters).row_variance
    assert together == pytest.approx(alone, rel=0.1)


def test_metrics_of_a_set_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    gold = rng.integers(2, size=80)
    found = [np.where(rng.random(80) < share, gold, 1 - gold) for share in (0.6, 0.7, 0.8, 0.9)]
    metrics = [set_metric("f1", gold, one) for one in found]
    spread = difference_over_seeds(metrics[:2], metrics[2:])
    values = [f1_score(gold, one) for one in found]
    assert spread.value == pytest.approx((values[2] + values[3] - values[0] - values[1]) / 2)
    assert level_over_seeds(metrics).value == pytest.approx(np.mean(values))


@pytest.mark.slow
def test_intervals_of_losses_cover_the_truth_where_documents_have_several_sequences():
    """Of 60 documents of 1 to 5 sequences, which share most of what is theirs, with 3 seeds, 300 times."""
    rng = np.random.default_rng(7)
    covered = {"by document": 0, "by sequence": 0}
    for _ in range(300):
        documents = np.repeat(np.arange(60), rng.integers(1, 6, 60))
        tokens = rng.integers(8, 12, len(documents)).astype(float)
        of_rows = (rng.normal(size=60) * 0.2)[documents] + rng.normal(size=len(documents)) * 0.05
        arms = []
        for difference in (0.0, of_rows):
            of_seeds = rng.normal(size=3) * 0.01
            losses = [4 + difference + seed + rng.normal(size=len(documents)) * 0.02 for seed in of_seeds]
            arms.append([loss_metric(loss * tokens, tokens) for loss in losses])
        for name, clusters in (("by document", documents.tolist()), ("by sequence", None)):
            low, high = difference_over_seeds(*arms, clusters).interval()
            covered[name] += low <= 0 <= high
    assert covered["by document"] >= 0.91 * 300
    assert covered["by sequence"] < 0.85 * 300


def test_a_level_where_all_rows_agree_is_not_certain():
    """Two rows more, off by 1 each way: the variance of n + 2 rows is 2 / (n + 1), of their mean 2 / (n + 1)(n + 2)."""
    low, high = level_over_seeds([mean_metric([0.0] * 20)] * 3).interval(bounds=(0.0, 1.0))
    assert low == 0
    assert high == pytest.approx(stats.t.ppf(0.975, 19) * np.array([1, -1, *[0] * 20]).std(ddof=1) / 22**0.5)


def test_the_rest_counts_once():
    """Of independent values, seeds x rows of them, the mean's variance is that of one over their number."""
    differences = np.random.default_rng(0).normal(0.0, 1.0, (8, 3000))
    low, high = spread_of(differences).interval()
    of_all = stats.t.ppf(0.975, 7) * differences.mean(1).std(ddof=1) / 8**0.5
    assert (high - low) / 2 == pytest.approx(of_all, rel=0.1)


def test_parts_of_seeds_and_rows_are_those_of_the_analysis_of_variance():
    """Two ways crossed, one value a cell: mean squares by their textbook formulas."""
    num_seeds, num_rows = 6, 400
    values = crossed(np.random.default_rng(5), num_seeds, num_rows, seeds=0.1, rows=0.5, rest=0.4)
    rest = values - values.mean(1, keepdims=True) - values.mean(0) + values.mean()
    ms_rest = (rest**2).sum() / ((num_seeds - 1) * (num_rows - 1))
    ms_rows = num_seeds * values.mean(0).var(ddof=1)
    spread = spread_of(values)
    assert spread.seed_variance == pytest.approx(values.mean(1).var(ddof=1))
    assert spread.row_variance == pytest.approx((ms_rows - ms_rest) / (num_seeds * num_rows), rel=0.1)


def test_variances_are_none_below_zero_however_many_seeds_are_asked_for():
    rng = np.random.default_rng(0)
    for _ in range(50):
        spread = spread_of(crossed(rng, 2, 12, rows=0.01, rest=0.5) + 0.2)
        assert spread.row_variance >= 0
        assert 0 <= spread.p_value(40) <= 1
