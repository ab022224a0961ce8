import pytest

from alum.attacks.condition import Condition
from alum.reports.evaluation.scores import (
    Scores,
    best_of,
    texts_of,
)
from alum.reports.numbers import listed
from evaluation_results import EPSILONS, evaluation_results


def test_conditions_are_in_the_order_of_the_record_and_radii_grow():
    results = evaluation_results()
    results["scores"].reverse()
    names = ["clean", "typing", *(f"pgd, ε {epsilon:g}" for epsilon in EPSILONS), "deepwordbug", "hotflip"]
    conditions = Scores(results).conditions
    assert [(condition.suite, condition.name) for condition in conditions] == [
        (suite, name) for suite in ("sst2", "cad_imdb", "hans") for name in names
    ]


def test_the_main_score_is_of_all_rows_and_of_the_metric_that_counts():
    scores = Scores(evaluation_results())
    assert scores.main("standard", Condition("hans"))["value"] == 0.583
    assert scores.main("standard", Condition("hans"), "subsequence")["value"] == pytest.approx(0.58)
    robust = scores.main("alum", Condition("sst2", "hotflip"))
    assert (robust["metric"], robust["value"]) == ("robust_accuracy", pytest.approx(0.912 * 0.37))
    assert scores.main("alum", Condition("sst2", "masked_lm")) is None
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


def test_where_there_is_no_score_there_is_no_interval():
    assert texts_of(None) == ("–", "")


def test_names_are_listed_as_in_a_sentence():
    assert listed(["a"]) == "a"
