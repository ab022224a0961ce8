import numpy as np
import pytest

from alum.evaluation.behaviour.outcomes import Judge, LikelyLabel, asked, in_parts, shortfalls
from alum.evaluation.behaviour.table import Behaviour, Case

JUDGE = Judge(("bad", "fine", "good"), {"positive": 2, "negative": 0})
BEFORE = [0.5, 0.2, 0.3]


def behaviour(expects):
    return Behaviour("name", "capability", "statement", expects)


def failure(expects, *outputs, role=None, original=("a",)):
    changed = tuple((f"changed {number}",) for number in range(len(outputs) - (original is not None)))
    return JUDGE.failure(behaviour(expects), Case(changed, original, 3, role), np.array(outputs))


@pytest.mark.parametrize(
    ("expects", "role", "after", "fails"),
    [
        ("same_answer", None, [0.4, 0.3, 0.3], False),
        ("same_answer", None, [0.3, 0.4, 0.3], True),  # although neither is right
        ("no_less_likely", "positive", [0.7, 0.09, 0.21], False),
        ("no_less_likely", "positive", [0.6, 0.21, 0.19], True),
        ("no_less_likely", "negative", [0.41, 0.59, 0.0], False),  # the answer may turn
        ("no_less_likely", "negative", [0.39, 0.31, 0.3], True),
        ("answer", "positive", [0.3, 0.3, 0.4], False),
        ("answer", "positive", [0.1, 0.5, 0.4], True),
        ("other_answer", "negative", [0.4, 0.5, 0.1], False),
        ("other_answer", "negative", [0.5, 0.4, 0.1], True),
    ],
)
def test_what_fails(expects, role, after, fails):
    assert (failure(expects, BEFORE, after, role=role) is not None) == fails


def test_a_case_fails_by_its_worst_text():
    found = failure("same_answer", BEFORE, [0.5, 0.3, 0.2], [0.3, 0.4, 0.3], [0.1, 0.1, 0.8])
    assert (found.row, found.original, found.changed) == (3, ("a",), ("changed 2",))
    assert (found.expected, found.before, found.after) == ("bad", LikelyLabel("bad", 0.5), LikelyLabel("good", 0.8))


def test_of_a_label_that_should_be_no_less_likely_both_probabilities_are_kept():
    found = failure("no_less_likely", BEFORE, [0.9, 0.05, 0.05], role="positive")
    assert (found.before, found.after) == (LikelyLabel("good", 0.3), LikelyLabel("good", 0.05))
    assert found.expected == "good no less likely"


def test_a_text_of_a_template_has_nothing_before():
    found = failure("other_answer", BEFORE, role="negative", original=None)
    assert (found.before, found.after, found.expected) == (None, LikelyLabel("bad", 0.5), "not bad")


def test_a_tie_counts_as_the_answer_that_is_given():
    """Of equal probabilities the first label is the answer."""
    even = np.full((1, 3), 1 / 3)
    assert shortfalls("answer", 2, None, even)[0] > 0
    assert shortfalls("answer", 0, None, even)[0] <= 0
    assert shortfalls("other_answer", 0, None, even)[0] > 0


def test_parts_hold_all_cases_once():
    cases = [Case((("a",),) * size, ("b",) if size % 2 else None) for size in (3, 2, 5, 1, 1)]
    parts = list(in_parts(cases, 6))
    assert [case for part in parts for case in part] == cases
    assert [len(part) for part in parts] == [2, 1, 2]
    assert len(asked(cases[0])) == 4
