import re

import pytest

from alum.evaluation.behaviour.lexicons import CITIES, FIRST_NAMES
from alum.evaluation.behaviour.table import BEHAVIOURS, MAX_SENTENCES, ReadRow

ROWS = [
    ReadRow(4, ("Emily did not like the films of 1995 that Boston's James made.",), -1),
    ReadRow(9, ("ok",), -1),
]


def test_cases_are_of_rows_that_have_what_is_changed_and_the_same_for_the_same_seed():
    for name in ("typo", "two_typos", "contractions", "names", "cities", "numbers"):
        (case,) = BEHAVIOURS[name].cases(ROWS, 0)
        assert (case.row, case.original, case.role) == (4, ROWS[0].example, None)
        assert all(new != case.original for new in case.changed)
        assert BEHAVIOURS[name].cases(ROWS, 0) == [case]
    assert BEHAVIOURS["typo"].cases(ROWS, 1) != BEHAVIOURS["typo"].cases(ROWS, 0)
    assert [case.row for case in BEHAVIOURS["praise_added"].cases(ROWS, 0)] == [4, 9]


def test_names_keep_to_their_list_and_cities_to_their_country():
    (case,) = BEHAVIOURS["names"].cases(ROWS, 0)
    for (new,) in case.changed:
        first, second = re.fullmatch(r"(\w+) did not like the films of 1995 that Boston's (\w+) made\.", new).groups()
        assert first in FIRST_NAMES[1]
        assert first != "Emily"
        assert second in FIRST_NAMES[0]
        assert second != "James"
    (case,) = BEHAVIOURS["cities"].cases(ROWS, 0)
    for (new,) in case.changed:
        assert re.search(r"that (.+)'s James", new)[1] in set(CITIES[0]) - {"Boston"}


@pytest.mark.parametrize("name", [name for name, one in BEHAVIOURS.items() if one.written])
def test_sentences_of_templates_are_different_and_whole(name):
    cases = BEHAVIOURS[name].cases([], 0)
    texts = [case.changed[0] for case in cases]
    assert 16 <= len(texts) == len(set(texts)) <= MAX_SENTENCES
    assert all(case.role and case.original is case.row is None for case in cases)
    for example in texts:
        for text in example:
            assert re.fullmatch(r"[A-Z][a-zI ,]+\.", text)
            assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", text)


def test_sentences_say_what_their_label_is():
    """By words of praise and blame, of which negations turn the meaning; what comes last counts."""
    praise, blame = {"love", "enjoy", "like", "recommend"}, {"hate", "dislike", "despise", "detest"}
    praise |= {"good", "great", "excellent", "wonderful", "lovely", "beautiful", "fantastic", "superb"}
    blame |= {"bad", "terrible", "awful", "horrible", "dreadful", "boring", "disappointing", "poor"}

    def meaning(text):
        words = re.findall(r"\w+", text)
        last = next(word for word in reversed(words) if word in praise | blame)
        return "positive" if (last in praise) != ("not" in words) else "negative"

    for name in ("opinions", "negated_praise", "late_negation", "former_opinion"):
        cases = BEHAVIOURS[name].cases([], 0)
        assert [case.role for case in cases] == [meaning(case.changed[0][0]) for case in cases]
    assert {case.role for case in BEHAVIOURS["opinions"].cases([], 0)} == {"positive", "negative"}
    assert {meaning(case.changed[0][0]) for case in BEHAVIOURS["negated_blame"].cases([], 0)} == {"positive"}
    assert BEHAVIOURS["negated_blame"].expects == "other_answer"
    for case in BEHAVIOURS["negated_copy"].cases([], 0):
        first, second = case.changed[0]
        assert second == first.replace(" is ", " is not ")


def test_texts_beside_themselves_are_of_both_texts():
    (case,) = BEHAVIOURS["same_text"].cases([ReadRow(1, ("a", "b"), -1)], 0)
    assert (case.changed, case.original, case.role) == ((("a", "a"), ("b", "b")), None, "same")
    assert BEHAVIOURS["same_text"].cases([ReadRow(1, ("a", "a"), -1)], 0)[0].changed == (("a", "a"),)


def test_kinds_are_called_as_in_the_paper():
    kinds = {name: one.kind for name, one in BEHAVIOURS.items()}
    assert kinds["typo"] == kinds["order"] == "invariance"
    assert kinds["praise_added"] == "direction"
    assert kinds["negated_blame"] == kinds["same_text"] == "minimum functionality"
    assert all(one.name == name for name, one in BEHAVIOURS.items())
