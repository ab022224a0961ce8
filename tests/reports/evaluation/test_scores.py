import pytest

from alum.reports.evaluation.scores import (
    Measure,
    Scores,
    best_of,
    difference_text,
    interval_text,
    listed,
    p_text,
    texts_of,
    value_text,
)
from evaluation_results import EPSILONS, evaluation_results


def test_measures_are_in_the_order_of_the_record_and_radii_grow():
    results = evaluation_results()
    results["scores"].reverse()
    conditions = ["clean", "typing", *(f"pgd, ε {epsilon:g}" for epsilon in EPSILONS), "deepwordbug", "hotflip"]
    measures = Scores(results).measures
    assert [(measure.suite, measure.condition) for measure in measures] == [
        (suite, condition) for suite in ("sst2", "cad_imdb", "hans") for condition in conditions
    ]


def test_the_main_score_is_of_all_rows_and_of_the_metric_that_counts():
    scores = Scores(evaluation_results())
    assert scores.main("standard", Measure("hans"))["value"] == 0.583
    assert scores.main("standard", Measure("hans"), "subsequence")["value"] == pytest.approx(0.58)
    robust = scores.main("alum", Measure("sst2", "hotflip"))
    assert (robust["metric"], robust["value"]) == ("robust_accuracy", pytest.approx(0.912 * 0.37))
    assert scores.main("alum", Measure("sst2", "masked_lm")) is None
    assert scores.groups("hans") == ["lexical_overlap", "subsequence", "constituent"]
    assert scores.groups("sst2") == []


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ([0.1, 0.3, 0.2], {1}),
        ([0.3, 0.1, 0.3], {0, 2}),
        ([0.3, 0.3], set()),
        ([0.3], set()),
        ([None, 0.3], set()),
        ([None, 0.1, 0.3, float("nan")], {2}),
    ],
)
def test_the_best_is_the_highest_where_there_is_a_choice(values, best):
    assert best_of(values) == best


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("robust_within_tolerance", 0.5, "50.0 %"),
        ("changed_word_share", 0.0, "0.0 %"),
        ("matthews_correlation", -0.1234, "-0.123"),
        ("mean_queries", 1234.56, "1,234.6"),
        ("accuracy", float("nan"), "–"),
    ],
)
def test_values(metric, value, text):
    assert value_text(metric, value) == text


def test_intervals():
    assert interval_text("accuracy", 0.5, 0.625) == "50.0–62.5"
    assert interval_text("matthews_correlation", -0.1, 0.2) == "−0.100 to 0.200"
    assert interval_text("accuracy", -0.125, 0.5, signed=True) == "−12.5 to +50.0"
    assert interval_text("accuracy", None, 0.5) == "–"
    assert texts_of(None) == ("–", "")


def test_differences_and_p_values():
    assert difference_text("robust_f1", -0.0001) == "0.0"
    assert difference_text("accuracy", None) == "–"
    assert [p_text(p) for p in (0.001, 0.0999, 0.1, 1.0, None)] == ["0.001", "0.100", "0.10", "1.00", "–"]
    assert listed(["a"]) == "a"
