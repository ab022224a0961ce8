import pytest

from alum.core.errors import InputError
from alum.evaluation.behaviour.label_roles import LabelRoles
from alum.evaluation.behaviour.table import BEHAVIOURS
from alum.tasks.sources import SOURCES

SINGLE = {
    "typo", "two_typos", "contractions", "end_mark", "web_marks", "names", "cities", "numbers", "opinions",
    "praise_added", "blame_added", "negated_praise", "negated_blame", "late_negation", "former_opinion",
}  # fmt: skip
OF_OPINIONS = SINGLE - {"typo", "two_typos", "contractions", "end_mark", "web_marks", "names", "cities", "numbers"}
PAIRS = SINGLE - OF_OPINIONS - {"web_marks"}


def roles_of(names, columns, **given):
    return LabelRoles.of(names, columns, given)


def fitting(roles):
    return {name for name, one in BEHAVIOURS.items() if roles.obstacle(one) is None}


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("sst2", SINGLE),
        ("imdb", SINGLE),
        ("cola", SINGLE - OF_OPINIONS),
        ("mnli", PAIRS | {"same_text", "negated_copy"}),
        ("rte", PAIRS | {"same_text", "negated_copy"}),
        ("scitail", PAIRS | {"same_text", "negated_copy"}),
        ("qqp", PAIRS | {"same_text", "negated_copy", "order"}),
        ("mrpc", PAIRS | {"same_text", "negated_copy", "order"}),
        ("paws", PAIRS | {"same_text", "negated_copy", "order"}),
        ("qnli", PAIRS),  # a question does not follow from itself
    ],
)
def test_tests_of_published_tasks(task, expected):
    layout = SOURCES[task].layout
    assert fitting(roles_of(layout.label_names, layout.text)) == expected


def test_labels_of_other_names_are_named():
    stars = ("1 star", "2 stars", "3 stars")
    assert fitting(roles_of(stars, ["text"])) == SINGLE - OF_OPINIONS
    roles = roles_of(stars, ["text"], positive="3 stars", negative="1 star")
    assert roles.label_of == {"positive": 2, "negative": 0}
    assert fitting(roles) == SINGLE
    assert roles.obstacle(BEHAVIOURS["order"]) == "it is of pairs"
    alone = roles_of(stars, ["text"], positive="3 stars")
    assert fitting(alone) == SINGLE - OF_OPINIONS | {"praise_added"}
    assert "name it with --negative_label" in alone.obstacle(BEHAVIOURS["blame_added"])
    assert roles_of(("no", "yes"), ["question", "text"], same="yes").label_of == {"same": 1}


def test_names_that_no_label_has_and_one_for_both_are_refused():
    with pytest.raises(InputError, match="unknown label 'fine'"):
        roles_of(("bad", "good"), ["text"], positive="fine")
    with pytest.raises(InputError, match="are both 'good': name two"):
        roles_of(("bad", "good"), ["text"], positive="good", negative="good")
