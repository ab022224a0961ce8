import random

import numpy as np
import pytest
import torch

from alum.attacks.text.candidates.word_tokens import Vocabulary
from alum.attacks.text.protocol import Misclassified
from alum.attacks.text.searches.gradients import WordGradient
from alum.attacks.text.searches.hotflip import Flip, HotFlipSearch, best_flips
from alum.attacks.text.searches.settings import Constraints, SearchSettings
from alum.attacks.text.searches.side_by_side import run_searches
from alum.attacks.text.worded import Place
from alum.core.errors import InputError
from word_resources import BagOfWordsGradients
from word_victims import bag_of_words, victim_of

WEIGHTS = {"alpha": 1.0, "bravo": 4.0, "carol": -2.0, "zulu": 0.5, "yankee": -3.0, "xray": -1.0}
NEW = ("zulu", "yankee", "xray")
TEXT = "alpha , bravo ( the carol )"
UNCONSTRAINED, DEFAULTS = Constraints(), SearchSettings()


def attacked(victim, text=TEXT, gradients=None, constraints=UNCONSTRAINED, settings=DEFAULTS, **options):
    search = HotFlipSearch(gradients or BagOfWordsGradients(WEIGHTS, NEW), constraints, settings, **options)
    ((_, result),) = run_searches(victim, [search((text,), Misclassified(1))])
    return result


def random_gradients(seed, num_places=6, num_words=40, hidden=5):
    """Some places with a vocabulary, some with another, and the matrix of the embeddings."""
    generator = torch.Generator().manual_seed(seed)
    vocabularies = [
        Vocabulary(tuple(f"w{i}" for i in range(start, num_words, 2)), tuple(range(start, num_words, 2)))
        for start in (0, 1)
    ]
    embeddings = torch.randn(num_words, hidden, generator=generator)
    gradients = [
        WordGradient(Place(0, i), f"W{7 * i}", 7 * i, torch.randn(hidden, generator=generator), vocabularies[i % 2])
        for i in range(num_places)
    ]
    return gradients, embeddings


@pytest.mark.parametrize("share_allowed", [None, 0.3])
@pytest.mark.parametrize("seed", range(5))
def test_the_best_flips_are_those_of_all_pairs(seed, share_allowed):
    gradients, embeddings = random_gradients(seed)
    rng, allowed = random.Random(seed), None
    if share_allowed is not None:
        words = [f"w{i}" for i in range(40)]
        by_word = {one.word: rng.sample(words, int(share_allowed * len(words))) for one in gradients}
        allowed = by_word.__getitem__
    expected = []
    for one in gradients:
        for word, token_id in zip(one.vocabulary.words, one.vocabulary.token_ids, strict=True):
            old, new = embeddings[one.token_id].double(), embeddings[token_id].double()
            gain = float(one.gradient.double() @ (new - old))
            if word != one.word.lower() and gain > 0 and (allowed is None or word in allowed(one.word)):
                expected.append(Flip(one.place, word, gain))
    expected.sort(key=lambda flip: -flip.gain)
    for num_flips in (1, 7, 10_000):
        found = best_flips(gradients, embeddings, num_flips, allowed)
        assert [flip[:2] for flip in found] == [flip[:2] for flip in expected[:num_flips]]
        np.testing.assert_allclose([f.gain for f in found], [f.gain for f in expected[:num_flips]], rtol=1e-4)


def test_no_negation_is_flipped_to():
    """However high its gain is, and whatever else is the best after it."""
    weights = {**WEIGHTS, "never": -50.0, "Nothing": -40.0}
    result = attacked(bag_of_words(weights, 0.5), gradients=BagOfWordsGradients(weights, (*NEW, "never", "Nothing")))
    assert result.outcome == "succeeded"
    assert [change.new for change in result.changes] == ["yankee"]


def test_without_places_there_is_no_flip():
    assert best_flips([], torch.zeros(3, 2), 5) == []


@pytest.mark.parametrize(
    ("bias", "changed", "num_queries"),
    [
        # 3 + bias, less 7, less 4 more, less 1 more; each time a gradient, three flips of alpha and bravo, one of carol
        (0.5, ["bravo"], 1 + (1 + 7)),
        (5.0, ["bravo", "alpha"], 1 + (1 + 7) + (1 + 4)),
        (8.5, ["bravo", "alpha", "carol"], 1 + (1 + 7) + (1 + 4) + (1 + 1)),
    ],
)
def test_a_linear_victim_is_turned_by_the_best_words(bias, changed, num_queries):
    """Flips that lower the loss, of carol to zulu or xray, are not asked about."""
    result = attacked(bag_of_words(WEIGHTS, bias), TEXT)
    assert result.outcome == "succeeded"
    assert {change.old: change.new for change in result.changes} == dict.fromkeys(changed, "yankee")
    assert result.num_queries == num_queries


def test_more_flips_are_asked_about_where_the_first_ones_do_not_help():
    """To first order yankee is best, but the victim minds zulu alone."""
    victim = victim_of(lambda example: -1 if "zulu" in example[0] else 1)
    gradients = BagOfWordsGradients(WEIGHTS, NEW)
    result = attacked(victim, "bravo", gradients, num_flips=1)
    assert (result.outcome, result.perturbed, result.num_queries) == ("succeeded", ("zulu",), 1 + 1 + 3)
    result = attacked(victim, "bravo", gradients, num_flips=1, max_rounds=2)
    assert (result.outcome, result.perturbed, result.num_queries) == ("failed", ("bravo",), 1 + 1 + 2)


def test_limits_hold():
    victim = bag_of_words(WEIGHTS, bias=20)
    assert len(attacked(victim, constraints=Constraints(max_changed_words=0.5)).changes) == 2
    assert len(attacked(victim).changes) == 3  # all but the stop word
    whole = attacked(victim).num_queries
    for max_queries in range(1, whole + 1):
        assert attacked(victim, settings=SearchSettings(max_queries=max_queries)).num_queries == max_queries
    settings = SearchSettings(similarity=lambda original, examples: np.zeros(len(examples)), min_similarity=0.5)
    result = attacked(victim, settings=settings)
    assert (result.changes, result.num_queries) == ((), 2)


def test_case_is_kept_where_the_victim_does_not_see_it():
    gradients = BagOfWordsGradients({**WEIGHTS, "Bravo": 4.0, "BRAVO": 4.0}, NEW)
    victim = victim_of(lambda example: 0.5 - example[0].lower().count("yankee"))
    assert attacked(victim, "Bravo", gradients).perturbed == ("yankee",)
    gradients.ignores_case = True
    assert attacked(victim, "Bravo", gradients).perturbed == ("Yankee",)
    assert attacked(victim, "BRAVO", gradients).perturbed == ("YANKEE",)


@pytest.mark.parametrize("text", ["", " ?! ", "the"])
def test_texts_without_a_word_to_change(text):
    result = attacked(bag_of_words(WEIGHTS, bias=1), text)
    assert (result.outcome, result.num_queries) == ("failed", 1)


def test_a_wrong_answer_is_not_attacked():
    assert attacked(bag_of_words(WEIGHTS, bias=-9)).outcome == "skipped"


def test_a_goal_without_a_label_is_refused():
    with pytest.raises(InputError, match="expected the goal Misclassified"):
        next(HotFlipSearch(BagOfWordsGradients(WEIGHTS, NEW), Constraints(), SearchSettings())((TEXT,), object()))


def test_random_linear_victims_are_turned_by_the_fewest_words():
    rng = random.Random(0)
    for _ in range(20):
        weights = {f"word{i}": rng.gauss(0.5, 1) for i in range(8)} | {"low": -1.5, "lower": -2.0}
        text, bias = " ".join(list(weights)[:8]), 3.0
        gains = sorted((weights[word] + 2.0 for word in text.split() if weights[word] > -2.0), reverse=True)
        margins = bias + sum(weights[word] for word in text.split()) - np.cumsum(gains)
        result = attacked(bag_of_words(weights, bias), text, BagOfWordsGradients(weights, ("low", "lower")))
        if result.outcome == "succeeded":
            assert len(result.changes) == 1 + int(np.argmax(margins < 0))
        else:
            assert result.outcome == "skipped" or (margins >= 0).all()


def test_only_allowed_words_are_put_in():
    """Yankee would be best everywhere; for bravo only zulu is near, for alpha nothing."""
    near = {"bravo": ["zulu", "unheard"], "alpha": [], "carol": ["xray"]}
    result = attacked(bag_of_words(WEIGHTS, 0.2), TEXT, allowed=near.__getitem__)
    assert {change.old: change.new for change in result.changes} == {"bravo": "zulu"}
