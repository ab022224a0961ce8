import numpy as np
import pytest
from scipy.special import expit, softmax

from alum.attacks.text.protocol import Misclassified
from alum.attacks.text.searches.pwws import WeightedSaliencySearch
from alum.attacks.text.searches.settings import Constraints, SearchSettings
from alum.attacks.text.searches.side_by_side import run_searches
from word_victims import bag_of_words, constant

# A word that matters much and has a weak synonym, one that matters little and has a strong one, one that has none.
WEIGHTS = {"alpha": 2.0, "aleph": 1.8, "bravo": 0.5, "cheer": -1.0, "delta": 1.0, "dalet": 0.9, "dogma": 1.4}
SYNONYMS = {"alpha": ["aleph"], "bravo": ["cheer"], "delta": ["dogma", "dalet"]}
TEXT = "alpha bravo the carol delta"
UNCONSTRAINED = Constraints()


def synonyms(example, place, rng):
    return SYNONYMS.get(example.word(place), [])


def attacked(victim, text=TEXT, constraints=UNCONSTRAINED, **settings):
    """The result, and what was asked."""
    asked = []

    def listening(examples):
        asked.extend(examples)
        return victim(examples)

    search = WeightedSaliencySearch(synonyms, constraints, SearchSettings(unknown_word="[UNK]", **settings))
    ((_, result),) = run_searches(listening, [search((text,), Misclassified(1))])
    return result, [text for (text,) in asked]


def test_words_are_put_in_by_saliency_times_gain():
    """p is the logistic function of the margin 3.5 + bias less what is lost."""
    margin = 3.5 - 1.0
    p = expit(margin)
    saliencies = softmax([p - expit(margin - 2.0), p - expit(margin - 0.5), 0.0, p - expit(margin - 1.0)])
    gains = np.array([p - expit(margin - 0.2), p - expit(margin - 1.5), p - expit(margin - 0.1)])
    scores = dict(zip(("aleph", "cheer", "dalet"), gains * saliencies[[0, 1, 3]], strict=True))
    assert sorted(scores, key=scores.get) == ["dalet", "aleph", "cheer"]  # by saliency alone aleph would be first

    result, asked = attacked(bag_of_words(WEIGHTS, bias=-1.0))
    assert result.outcome == "failed"  # 2.5 - 1.5 - 0.2 - 0.1
    assert asked == [
        TEXT,
        *(TEXT.replace(word, "[UNK]") for word in ("alpha", "bravo", "carol", "delta")),
        *(TEXT.replace(*words) for words in (("alpha", "aleph"), ("bravo", "cheer"))),
        *(TEXT.replace("delta", word) for word in ("dogma", "dalet")),
        "alpha cheer the carol delta",
        "aleph cheer the carol delta",
        "aleph cheer the carol dalet",
    ]
    assert result.num_queries == len(asked)
    assert result.adversarial_outputs[1] == pytest.approx(expit(2.5 - 1.8))


def test_it_ends_when_the_answer_is_wrong():
    result, asked = attacked(bag_of_words(WEIGHTS, bias=-2.5))
    assert (result.outcome, [change.new for change in result.changes]) == ("succeeded", ["cheer"])
    assert len(asked) == 1 + 4 + 4 + 1


def test_limits_hold():
    victim = bag_of_words(WEIGHTS, bias=-1.0)
    assert len(attacked(victim, constraints=Constraints(max_changed_words=0.4))[0].changes) == 2
    whole = attacked(victim)[1]
    for max_queries in range(1, len(whole) + 1):
        # Each search asks what the whole one does, but for places whose candidates it had no queries left to compare.
        result, asked = attacked(victim, max_queries=max_queries)
        assert asked == whole[:max_queries]
        assert result.num_queries == max_queries


def test_what_does_not_help_is_not_put_in():
    result, _ = attacked(constant())
    assert (result.outcome, result.changes) == ("failed", ())
    assert attacked(bag_of_words(WEIGHTS, bias=-9))[0].outcome == "skipped"


@pytest.mark.parametrize("text", ["", " ?! ", "alpha", "the", "unheard שלום 🙂 \x00"])
def test_short_and_odd_texts(text):
    result, _ = attacked(bag_of_words(WEIGHTS, bias=0.1), text)
    assert result.outcome == "failed"
    assert result.perturbed == (text.replace("alpha", "aleph"),)
