import pytest

from alum.attacks.text.searches.input_reduction import as_read, reduced
from alum.attacks.text.searches.side_by_side import run_searches
from word_victims import bag_of_words, constant

WEIGHTS = {"alpha": 3.0, "bravo": 1.0, "carol": -2.0, "zulu": -0.5}


def reduction(victim, example, label, text=-1):
    ((_, found),) = run_searches(victim, [reduced(example, label, text)])
    return found


@pytest.mark.parametrize(
    ("text", "bias", "label", "left"),
    [
        # Class 1 is surest without carol, then zulu, then bravo: alpha alone is 3.
        ("zulu alpha carol bravo", 0.0, 1, "alpha"),
        # Class 0 is surest without alpha, then bravo, then zulu: carol alone is -2.
        ("zulu alpha carol bravo", -2.0, 0, "carol"),
        # Of class 1 alpha and bravo have to stay: 4 - 3.2 is right, 3 - 3.2 is not.
        ("zulu alpha bravo", -3.2, 1, "alpha bravo"),
    ],
)
def test_words_that_matter_least_go_until_the_answer_would_turn(text, bias, label, left):
    victim = bag_of_words(WEIGHTS, bias)
    example = (text,)
    found = reduction(victim, example, label)
    assert found.reduced[0].split() == left.split()
    assert (found.num_words, found.num_words_left) == (len(text.split()), len(left.split()))
    assert found.reduced_outputs.tolist() == victim([found.reduced])[0].tolist()
    assert found.clean_outputs.tolist() == victim([example])[0].tolist()


@pytest.mark.parametrize(
    ("text", "read", "left"),
    [
        ("one two, three four.", 20, "one two, three four."),
        ("one two, three four.", 12, "one two, three"),  # a word of which a part is read is kept whole
        ("one two, three four.", 8, "one two,"),
        ("one two, three four.", 9, "one two, "),
        ("  ", 1, " "),
        ("", 0, ""),
        ("one", 0, ""),
    ],
)
def test_what_is_not_read_is_cut_off(text, read, left):
    assert as_read(("a premise", text), -1, (9, read)) == ("a premise", left)
    assert as_read((text, "a hypothesis"), 0, (read, 12)) == (left, "a hypothesis")


def test_one_word_is_left_where_nothing_matters_and_the_other_text_stays():
    found = reduction(constant(1.0), ("a premise stays", "one two three"), 1)
    assert found.reduced[0] == "a premise stays"
    assert found.num_words_left == 1
    assert reduction(constant(1.0), ("",), 1).reduced == ("",)
