import pytest

from alum.reports.study.words import answers_of


def entry(task, verdict, more_seeds=None, **settings):
    defaults = {"arm": "alum", "baseline": "standard_plus", "attack": None, "is_main": True, "num_seeds": 3}
    return {"task": task, "verdict": verdict, "more_seeds": more_seeds, **defaults, **settings}


def test_a_sentence_counts_tasks_and_says_what_more_seeds_would_decide():
    entries = [entry(f"b{n}", "better") for n in range(5)] + [entry("w", "worse")]
    entries += [entry(f"u{n}", "undecided", more) for n, more in enumerate([2, 4, 4, 30, None, None])]
    (answer,) = answers_of(entries)
    assert answer["sentence"] == (
        "alum is better than standard at equal cost on 5 of 12 tasks, worse on 1, undecided on 6: "
        "4 more seeds would decide 3 of them."
    )


@pytest.mark.parametrize(
    ("entries", "end"),
    [
        ([entry("a", "better")], "on 1 of 1 task, worse on 0, undecided on 0."),
        ([entry("a", "undecided", 1)], "undecided on 1: 1 more seed would decide it."),
        ([entry("a", "undecided")], "undecided on 1: no number of further seeds that is in reach would decide it."),
        ([entry("a", "undecided", num_seeds=1)], "undecided on 1: of one seed nothing is decided."),
    ],
)
def test_a_sentence_ends_as_the_numbers_do(entries, end):
    assert answers_of(entries)[0]["sentence"].endswith(end)


def test_attacks_and_further_metrics_are_not_counted():
    entries = [entry("a", "better"), entry("a", "worse", attack="pgd"), entry("a", "worse", is_main=False)]
    (answer,) = answers_of(entries)
    assert (answer["better"], answer["worse"], answer["undecided"]) == (1, 0, 0)


def test_each_arm_has_a_sentence_against_each_baseline():
    entries = [entry("a", "better"), entry("a", "worse", baseline="standard"), entry("a", "worse", arm="pgd")]
    found = [(answer["arm"], answer["baseline"], answer["better"]) for answer in answers_of(entries)]
    assert found == [("alum", "standard_plus", 1), ("alum", "standard", 0), ("pgd", "standard_plus", 0)]
