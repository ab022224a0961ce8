import itertools
import random

import pytest

from alum.attacks.text.protocol import Misclassified
from alum.attacks.text.searches.universal_trigger import TriggeredRow, TriggerSearch
from word_resources import BagOfWordsGradients
from word_victims import bag_of_words, victim_of

NEW = ("zulu", "yankee", "xray", "never", "7th")
WEIGHTS = {"alpha": 1.0, "bravo": 4.0, "zulu": -0.5, "yankee": -3.0, "xray": -1.0, "never": -9.0, "7th": -9.0}
ROWS = [TriggeredRow((text,), Misclassified(1), -1) for text in ("alpha bravo", "bravo", "alpha alpha alpha")]


def test_words_are_put_before_the_text():
    row = TriggeredRow(("a premise", "a text"), Misclassified(0), -1)
    assert row.after(["one", "two"]) == ("a premise", "one two a text")


def test_a_linear_victim_has_the_heaviest_words_as_its_trigger_but_no_negation_or_number():
    search = TriggerSearch(bag_of_words(WEIGHTS, 1.0), BagOfWordsGradients(WEIGHTS, NEW), num_words=3)
    assert search(ROWS) == ("yankee", "yankee", "yankee")


@pytest.mark.parametrize("num_words", [1, 2])
def test_the_trigger_is_the_best_of_all_where_words_add_up(num_words):
    rng = random.Random(num_words)
    weights = {name: rng.gauss(0, 2) for name in ("papa", "romeo", "sierra", "tango", "uniform")}
    victim, new = bag_of_words({**WEIGHTS, **weights}), tuple(weights)
    search = TriggerSearch(victim, BagOfWordsGradients({**WEIGHTS, **weights}, new), num_words)

    def loss(words):
        return sum(victim([row.after(words)])[0][0] for row in ROWS)

    best = max(itertools.product(new, repeat=num_words), key=loss)
    if loss(best) > loss(("the",) * num_words):
        assert loss(search(ROWS)) == pytest.approx(loss(best))


def test_a_victim_that_nothing_moves_keeps_the_first_words():
    search = TriggerSearch(victim_of(lambda example: 1.0), BagOfWordsGradients(WEIGHTS, NEW), num_words=2)
    assert search(ROWS) == ("the", "the")
