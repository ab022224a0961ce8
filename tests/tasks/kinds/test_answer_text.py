import pytest

from alum.tasks.kinds.answer_text import answer_scores, normalized, token_f1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Eiffel Tower!", "eiffel tower"),
        ("an  apple,\n a pear", "apple pear"),
        ("Theatre of another age", "theatre of another age"),
        ("U.S.", "us"),
        ("a", ""),
        ("—½", "—½"),  # punctuation is ASCII's
    ],
)
def test_normalisation_is_that_of_the_official_script(text, expected):
    assert normalized(text) == expected


@pytest.mark.parametrize(
    ("predicted", "gold", "expected"),
    [
        ("the red mat", "on the red mat", 4 / 5),  # 2 of 2 and 2 of 3 words
        ("red red mat", "red mat", 4 / 5),  # a word counts as often as in both
        ("cat", "dog", 0.0),
        ("", "dog", 0.0),
        ("cat", "", 0.0),
        ("", "", 1.0),
        ("the", "", 1.0),  # nothing is left of it
    ],
)
def test_f1_by_hand(predicted, gold, expected):
    assert token_f1(predicted, gold) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("predicted", "golds", "expected"),
    [
        ("Rome", ["Paris", "the Rome"], (1, 1)),
        ("in Rome", ["Paris", "Rome"], (0, 2 / 3)),  # precision 1/2, recall 1
        ("", [], (1, 1)),
        ("Rome", [], (0, 0)),
        ("", ["the"], (1, 1)),  # an article alone is no answer
    ],
)
def test_the_best_of_the_right_answers_counts(predicted, golds, expected):
    assert answer_scores(predicted, golds) == pytest.approx(expected)
