import dataclasses

import numpy as np
import pytest
from scipy.stats import binomtest, pearsonr

from alum.attacks.condition import Condition
from alum.evaluation.scores.set_metrics import set_metric
from alum.evaluation.scores.summary import Measurement, adjusted, comparisons_of, scores_of

CLEAN = Condition("s")


def measurement(scores, **settings):
    records = [{"row": number, "scores": {"accuracy": score}} for number, score in enumerate(scores, start=1)]
    return Measurement(**{"model": "a", "condition": CLEAN, "family": None, **settings}, records=records)


def attacked(*outcomes, **settings):
    """Records of (outcome, queries, changed share)."""
    records = [
        {
            "row": number,
            "scores": {"accuracy": float(outcome == "failed")},
            "outcome": outcome,
            "num_queries": queries,
            "changed_share": share,
        }
        for number, (outcome, queries, share) in enumerate(outcomes, start=1)
    ]
    return Measurement(model="a", condition=Condition("s", "typos"), family="text", records=records, **settings)


def by_metric(rows, group=None):
    return {row["metric"]: row for row in rows if row["group"] == group}


def test_a_rate_is_the_mean_over_rows_with_an_interval_around_it():
    (row,) = scores_of(measurement([1, 1, 1, 0] * 25))
    assert (row["metric"], row["value"], row["num_rows"], row["group"]) == ("accuracy", 0.75, 100, None)
    # The normal approximation to a bootstrap interval of a rate: 1.96 √(p (1 - p) / n).
    half = 1.96 * np.sqrt(0.75 * 0.25 / 100)
    assert row["low"] == pytest.approx(0.75 - half, abs=0.015)
    assert row["high"] == pytest.approx(0.75 + half, abs=0.015)


def test_under_an_attack_a_rate_is_robust():
    assert set(by_metric(scores_of(measurement([1, 0], condition=Condition("s", "pgd", 0.1), family="embedding")))) == {
        "robust_accuracy"
    }


def test_what_an_attack_costs_is_counted_where_it_was_tried():
    rows = by_metric(
        scores_of(attacked(("skipped", 1, 0.0), ("failed", 30, 0.5), ("succeeded", 10, 0.2), ("succeeded", 20, 0.1)))
    )
    assert rows["robust_accuracy"]["value"] == 1 / 4
    assert rows["attack_success_rate"]["value"] == pytest.approx(2 / 3)
    assert rows["attack_success_rate"]["num_rows"] == 3
    assert rows["changed_word_share"]["value"] == pytest.approx((0.2 + 0.1) / 2)
    assert rows["changed_word_share"]["num_rows"] == 2
    assert rows["mean_queries"]["value"] == pytest.approx((30 + 10 + 20) / 3)


def test_what_attacks_left_of_the_meaning_is_averaged_over_those_that_succeeded():
    """Shares and similarities by the mean, ratios of perplexities by the geometric one: √(2 · 8) = 4."""
    under_attack = attacked(("failed", 30, 0.5), ("succeeded", 10, 0.2), ("succeeded", 20, 0.1), ("skipped", 1, 0.0))
    figures = [(0.9, 0.1, 900.0), (0.4, 0.8, 2.0), (0.2, 0.6, 8.0), (0.0, 1.0, 1.0)]
    names = ("changed_content_share", "similarity", "perplexity_ratio")
    records = [
        {**record, **dict(zip(names, own, strict=True))}
        for record, own in zip(under_attack.records, figures, strict=True)
    ]
    rows = by_metric(scores_of(dataclasses.replace(under_attack, records=records)))
    assert [rows[name]["value"] for name in names] == pytest.approx([0.3, 0.7, 4.0])
    assert {rows[name]["num_rows"] for name in names} == {2}
    assert rows["perplexity_ratio"]["low"] <= 4.0 <= rows["perplexity_ratio"]["high"]
    unknown = [{**record, "similarity": None, "perplexity_ratio": None} for record in records]
    rows = by_metric(scores_of(dataclasses.replace(under_attack, records=unknown)))
    assert set(names) & set(rows) == {"changed_content_share"}


def test_where_nothing_was_right_before_there_is_no_success_rate():
    rows = by_metric(scores_of(attacked(("skipped", 1, 0.0), ("skipped", 1, 0.0))))
    assert rows["robust_accuracy"]["value"] == 0
    assert set(rows) == {"robust_accuracy"}


def test_groups_are_scored_apart():
    rows = scores_of(measurement([1, 1, 0, 0, 1], groups=["x", "y", "x", "y", "y"]))
    assert by_metric(rows, "x")["accuracy"]["value"] == 1 / 2
    assert by_metric(rows, "y")["accuracy"]["value"] == pytest.approx(2 / 3)
    assert by_metric(rows)["accuracy"]["value"] == pytest.approx(3 / 5)


def test_a_metric_of_the_whole_set_is_that_of_its_rows():
    x, y = np.random.default_rng(0).normal(size=(2, 40))
    y = y + x

    correlation = {"pearson": set_metric("pearson", x, y)}
    row = by_metric(scores_of(measurement([1] * 40, set_metrics=correlation)))["pearson"]
    expected = pearsonr(x, y)
    assert row["value"] == pytest.approx(expected.statistic)
    fisher = expected.confidence_interval(0.95)
    assert row["low"] == pytest.approx(fisher.low, abs=0.12)
    assert row["high"] == pytest.approx(fisher.high, abs=0.12)


def test_two_models_are_compared_on_the_rows_that_both_were_measured_on():
    first = measurement([1, 1, 0, 0, 0, 0])
    second = measurement([0, 1, 1, 1, 1, 1, 1, 1], model="b")
    (row,) = comparisons_of(first, second)
    assert (row["baseline"], row["model"], row["num_rows"]) == ("a", "b", 6)
    assert row["difference"] == pytest.approx((5 - 2) / 6)
    # One row only the first has right, four only the second.
    # The exact test's value, less half of both outcomes as far.
    assert row["p_value"] == pytest.approx(binomtest(1, 5).pvalue - 5 * 0.5**5)
    assert row["test"] == "mcnemar"


def test_a_metric_that_is_not_defined_has_no_value():
    (row,) = [
        row
        for row in scores_of(measurement([1] * 4, set_metrics={"pearson": set_metric("pearson", [1.0] * 4, range(4))}))
        if row["metric"] == "pearson"
    ]
    assert (row["value"], row["low"], row["high"]) == (None, None, None)


def test_metrics_of_the_whole_set_are_compared_on_the_same_rows_too():
    rng = np.random.default_rng(1)
    gold = rng.normal(size=60)
    near, far = (gold + scale * rng.normal(size=60) for scale in (0.3, 2.0))
    first = measurement([1] * 60, set_metrics={"pearson": set_metric("pearson", gold, far)})
    second = measurement([1] * 40, model="b", set_metrics={"pearson": set_metric("pearson", gold[:40], near[:40])})
    row = {entry["metric"]: entry for entry in comparisons_of(first, second)}["pearson"]
    expected = pearsonr(gold[:40], near[:40]).statistic - pearsonr(gold[:40], far[:40]).statistic
    assert row["difference"] == pytest.approx(expected)
    assert 0 < row["low"] < expected < row["high"]
    assert (row["p_value"] < 0.01, row["test"], row["num_rows"]) == (True, "permutation", 40)


def test_rows_that_belong_together_are_one_try():
    """Forty contexts of ten rows, right or wrong as a whole: the interval is that of forty rows."""
    scores, contexts = [1.0] * 300 + [0.0] * 100, [str(i // 10) for i in range(400)]
    (row,) = scores_of(measurement(scores, clusters=contexts))
    half = 1.96 * np.sqrt(0.75 * 0.25 / 40)
    assert (row["low"], row["high"]) == pytest.approx((0.75 - half, 0.75 + half), abs=0.03)
    (of_pairs,) = comparisons_of(
        measurement(scores, clusters=contexts), measurement([1.0] * 400, model="b", clusters=contexts)
    )
    assert of_pairs["p_value"] == pytest.approx(2 * 0.5**10, abs=0.003)  # ten contexts differ, all one way
    assert of_pairs["test"] == "permutation"


def test_likelihoods_are_adjusted_among_themselves():
    entry = {"suite": "s", "attack": None, "epsilon": None, "baseline": "a"}
    found = adjusted(
        [
            {**entry, "model": model, "metric": metric, "p_value": p_value}
            for model, metric, p_value in (
                ("b", "accuracy", 0.02),
                ("b", "log_likelihood", 0.01),
                ("c", "accuracy", 0.04),
                ("c", "log_likelihood", 0.5),
            )
        ]
    )
    assert [row["p_adjusted"] for row in found] == pytest.approx([0.04, 0.02, 0.04, 0.5])


def test_p_values_are_adjusted_for_all_comparisons_of_which_a_curve_is_one():
    entry = {"suite": "s", "attack": "pgd", "metric": "robust_accuracy", "baseline": "a", "model": "b"}
    found = adjusted(
        [
            {**entry, "epsilon": 0.1, "p_value": 0.02},
            {**entry, "epsilon": 0.3, "p_value": 0.01},
            {**entry, "attack": None, "metric": "accuracy", "epsilon": None, "p_value": 0.04},
        ]
    )
    assert [row["p_adjusted"] for row in found] == pytest.approx([0.04, 0.02, 0.04])


def test_groups_stand_in_order_and_not_for_one_row():
    rows = scores_of(measurement([1, 0, 1, 1, 0], groups=["z", "a", "z", "single", "a"]))
    assert list(dict.fromkeys(row["group"] for row in rows)) == [None, "a", "z"]


def test_an_attacked_score_has_the_clean_one_of_the_same_rows():
    clean = measurement([1, 1, 0, 1, 0, 0, 1, 1])
    attack = Condition("s", "pgd", 0.1)
    few = Measurement("a", attack, "embedding", [{"row": row, "scores": {"accuracy": 0.0}} for row in (2, 3, 8)])
    (score,) = scores_of(few, clean)
    of_same_rows = binomtest(2, 3).proportion_ci(method="wilson")  # rows 2 and 8 are right
    assert score["clean"] == pytest.approx({"value": 2 / 3, "low": of_same_rows.low, "high": of_same_rows.high})
    assert (score["value"], score["num_rows"]) == (0.0, 3)
    assert scores_of(clean, clean)[0]["clean"] is None
