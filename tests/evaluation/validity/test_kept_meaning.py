import math

import numpy as np
import pytest

from alum.attacks.text.protocol import AttackResult, Change
from alum.attacks.text.worded import Place
from alum.evaluation.validity.kept_meaning import KeptMeaning


def result(original, perturbed, *changes):
    return AttackResult(original, perturbed, "succeeded", (), (), 1, 1, tuple(changes))


ORIGINAL = ("it rains", "the film is not a gentle drama , but the cast is fine")
CHANGES = (Change(Place(1, 5), "gentle", "mild"), Change(Place(1, 6), "drama", "dra ma"))
PERTURBED = ("it rains", "the film is not a mild dra ma , but the cast is fine")


def similarity(original, examples):
    assert original == ORIGINAL
    return np.array([0.5 if example == PERTURBED else 1.0 for example in examples])


def losses(words):
    """A nat for each letter of a word, whatever it stands beside."""
    return [float(len(one.text.word(one.word))) for one in words]


def test_figures_are_those_of_the_changed_words():
    """Of 'film not gentle drama cast fine', where 'not' is a stop word, two of five; letters 4 - 6 and 6 - 5."""
    found = KeptMeaning(similarity, losses).of(result(ORIGINAL, PERTURBED, *CHANGES), (-1,))
    assert found == {
        "changed_content_share": pytest.approx(2 / 5),
        "similarity": 0.5,
        "perplexity_ratio": pytest.approx(math.exp((-2 + 1) / 2)),
    }


def test_words_are_seen_among_the_changed_ones():
    seen = []

    def listening(words):
        seen.extend(str(one.text) for one in words)
        return [0.0] * len(words)

    KeptMeaning(None, listening).of(result(ORIGINAL, PERTURBED, *CHANGES), (1,))
    assert seen == [ORIGINAL[1]] * 2 + [PERTURBED[1]] * 2


def test_without_models_or_changes():
    unchanged = result(ORIGINAL, ORIGINAL)
    nothing = {"changed_content_share": 0.0, "similarity": None, "perplexity_ratio": None}
    assert KeptMeaning().of(unchanged, (-1,)) == nothing
    assert KeptMeaning(similarity, losses).of(unchanged, (-1,))["perplexity_ratio"] == 1.0
    assert KeptMeaning(similarity, losses).of(unchanged, (-1,))["similarity"] == 1.0
    assert KeptMeaning().of(result(("the",), ("the",)), (0,))["changed_content_share"] == 0.0
