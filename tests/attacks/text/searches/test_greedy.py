import random
import string

import numpy as np
import pytest

from alum.attacks.text.protocol import Change, Misclassified
from alum.attacks.text.searches.greedy import RANKED_TOGETHER, GreedySearch
from alum.attacks.text.searches.settings import Constraints, SearchSettings
from alum.attacks.text.searches.side_by_side import run_searches
from alum.attacks.text.searches.state import levenshtein
from alum.attacks.text.worded import Place
from alum.core.errors import InputError
from word_victims import bag_of_words, constant, victim_of

POSITIVE = Misclassified(1)
UNCONSTRAINED = Constraints()

WEIGHTS = {"alpha": 1.0, "bravo": 4.0, "carol": -2.0, "delta": 3.0, "eagle": 2.0}
SENTENCE = "alpha , bravo ; carol ( delta ) the eagle !"


def three(example, place, rng):
    """Three candidates that no victim knows."""
    return [f"{example.word(place)}{i}" for i in range(3)]


def attacked(
    victim,
    text,
    goal=POSITIVE,
    characters_read=None,
    candidates=three,
    ranking="deletion",
    constraints=UNCONSTRAINED,
    **settings,
):
    example = text if isinstance(text, tuple) else (text,)
    search = GreedySearch(candidates, ranking, constraints, SearchSettings(**settings))
    ((number, result),) = run_searches(victim, [search(example, goal, characters_read)])
    assert number == 0
    return result


def asked(victim, text, **settings):
    """The lists of examples that a search yields, in order."""
    lists = []

    def listening(examples):
        lists.append(examples)
        return victim(examples)

    attacked(listening, text, **settings)
    return lists


# -- what it finds -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bias", "changed"),
    [
        # The margin is 8 + bias, then that less 4, less 3 more, less 2 more: the order of the weights.
        (-4.5, ["bravo"]),
        (-3.5, ["bravo", "delta"]),
        (-0.5, ["bravo", "delta", "eagle"]),
        (1.5, ["bravo", "delta", "eagle", "alpha"]),
    ],
)
@pytest.mark.parametrize("ranking", ["deletion", "unknown_word"])
def test_a_linear_victim_takes_as_many_changes_as_its_weights_say(bias, changed, ranking):
    result = attacked(bag_of_words(WEIGHTS, bias), SENTENCE, ranking=ranking)
    left = 8 + bias - sum(WEIGHTS[word] for word in changed)
    if left < 0:
        assert result.outcome == "succeeded"
        assert {change.old for change in result.changes} == set(changed)
    else:
        assert result.outcome == "failed"
    # The answer before, five words that are not stop words, and three candidates for each change.
    tried = 5 if result.outcome == "failed" else len(changed)
    assert result.num_queries == 1 + 5 + 3 * tried
    assert result.num_words == 6
    assert result.clean_outputs[1] == pytest.approx(1 / (1 + np.exp(-8 - bias)))
    assert result.adversarial_outputs[1] == pytest.approx(1 / (1 + np.exp(-left)))


def test_the_original_comes_back_with_the_changes_undone():
    result = attacked(bag_of_words(WEIGHTS, -0.5), SENTENCE)
    assert result.changes == (
        Change(Place(0, 1), "bravo", "bravo0"),
        Change(Place(0, 3), "delta", "delta0"),
        Change(Place(0, 5), "eagle", "eagle0"),
    )
    (perturbed,) = result.perturbed
    for change in result.changes:
        perturbed = perturbed.replace(change.new, change.old)
    assert result.original == (SENTENCE,) == (perturbed,)


def test_a_wrong_answer_is_not_attacked():
    result = attacked(bag_of_words(WEIGHTS, bias=-9), SENTENCE)
    assert (result.outcome, result.num_queries, result.changes) == ("skipped", 1, ())
    assert result.perturbed == result.original
    assert result.adversarial_outputs == result.clean_outputs


def test_what_does_not_help_is_not_changed():
    result = attacked(constant(), SENTENCE)
    assert (result.outcome, result.changes, result.perturbed) == ("failed", (), (SENTENCE,))


def test_the_candidate_of_the_highest_loss_is_taken():
    victim = bag_of_words({"bravo": 4, "bravo0": 3, "bravo1": 1, "bravo2": 2})
    assert attacked(victim, "bravo alpha").changes == (Change(Place(0, 0), "bravo", "bravo1"),)


def test_any_candidate_with_another_class_on_top_will_do():
    """The third candidate takes most from class 1, but spreads it; the second one alone turns the answer."""
    rows = {"bravo": (0, 1, 0), "bravo0": (0.1, 0.9, 0), "bravo1": (0.52, 0.48, 0), "bravo2": (0.3, 0.4, 0.3)}

    def victim(examples):
        return np.array([rows.get(example[0], (0, 1, 0)) for example in examples], dtype=float)

    result = attacked(victim, "bravo")
    assert result.outcome == "succeeded"
    assert result.perturbed == ("bravo1",)


def test_a_text_without_words_is_asked_about_once():
    result = attacked(constant(), " ?! ")
    assert (result.outcome, result.num_queries, result.num_words) == ("failed", 1, 0)


# -- pairs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("texts", "changed"), [((-1,), {1}), ((0,), {0}), ((0, 1), {0, 1})])
def test_only_the_attacked_texts_of_a_pair_are_changed(texts, changed):
    pair = ("alpha bravo", "delta eagle")
    result = attacked(bag_of_words(WEIGHTS, bias=1), pair, attacked_texts=texts)
    assert {change.place.text for change in result.changes} == changed
    assert result.num_words == 2 * len(changed)
    assert [new != old for old, new in zip(pair, result.perturbed, strict=True)] == [i in changed for i in range(2)]


def test_a_single_text_has_no_second():
    with pytest.raises(InputError, match="text number 1, but it has 1"):
        attacked(constant(), "alpha", attacked_texts=(1,))


# -- constraints -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "changes"), [(0.01, 1), (0.16, 1), (0.34, 2), (0.5, 3), (1.0, 4)])
def test_at_most_a_share_of_the_words_is_changed_but_one_always(share, changes):
    """Six words, of which four raise the loss."""
    result = attacked(bag_of_words(WEIGHTS, 9), SENTENCE, constraints=Constraints(max_changed_words=share))
    assert len(result.changes) == changes
    assert result.outcome == "failed"


def test_stop_words_and_short_words_stay():
    victim = victim_of(lambda example: sum(map(example[0].split().count, ("the", "up", "cat", "horse"))))
    result = attacked(victim, "the up cat horse", constraints=Constraints(min_word_length=4))
    assert [change.old for change in result.changes] == ["horse"]
    assert result.num_queries == 1 + 1 + 3


@pytest.mark.parametrize(("bound", "changes"), [(0, 0), (1, 1), (3, 3), (30, 4)])
def test_the_edit_distances_together_stay_within_their_bound(bound, changes):
    """Each candidate is one character longer than the word."""
    result = attacked(bag_of_words(WEIGHTS, 9), SENTENCE, constraints=Constraints(max_edit_distance=bound))
    assert len(result.changes) == changes
    assert levenshtein(result.original[0], result.perturbed[0]) <= bound


def test_candidates_that_are_not_similar_enough_are_dropped_unasked():
    def similarity(original, examples):
        assert original == ("bravo",)
        return np.array([0.2, 0.8, 0.5])[[int(example[0][-1]) for example in examples]]

    result = attacked(bag_of_words({"bravo": 1.0}, 1), "bravo", similarity=similarity, min_similarity=0.6)
    assert result.perturbed == ("bravo1",)
    assert result.num_queries == 1 + 1 + 1


def test_the_word_itself_and_candidates_twice_are_not_asked_about():
    def candidates(example, place, rng):
        return ["bravo", "x", "x"]

    assert attacked(constant(), "bravo", candidates=candidates).num_queries == 1 + 1 + 1


def test_words_that_the_victim_does_not_read_are_left_alone():
    victim = bag_of_words(WEIGHTS, 9)
    text = "alpha bravo delta"
    # bravo begins at the seventh character, delta at the thirteenth
    for read, changed in ((0, []), (6, ["alpha"]), (7, ["alpha", "bravo"]), (99, ["alpha", "bravo", "delta"])):
        result = attacked(victim, text, characters_read=(read,))
        assert [change.old for change in result.changes] == changed
        assert result.num_words == 3


# -- queries -----------------------------------------------------------------------------------------------------------


def random_case(seed):
    rng = random.Random(seed)
    words = ["".join(rng.choices(string.ascii_lowercase, k=6)) for _ in range(8)]
    weights = {word: rng.gauss(0.4, 1) for word in words}
    return bag_of_words(weights, bias=0.5), " ".join(words)


@pytest.mark.parametrize("max_queries", [1, 2, 8, 9, 10, 12, 15, 20])
def test_with_fewer_queries_it_is_the_beginning_of_the_same_search(max_queries):
    for seed in range(10):
        victim, text = random_case(seed)
        whole = [example for examples in asked(victim, text) for example in examples]
        part = [example for examples in asked(victim, text, max_queries=max_queries) for example in examples]
        assert part == whole[:max_queries]


def test_success_is_monotone_in_queries_and_in_words():
    queries, shares = (1, 5, 9, 10, 13, 16, 20, 40), (0.1, 0.25, 0.4, 0.6, 1.0)
    won = {"queries": [], "shares": []}
    for seed in range(40):
        victim, text = random_case(seed)
        won["queries"].append([attacked(victim, text, max_queries=n).outcome == "succeeded" for n in queries])
        by_share = [attacked(victim, text, constraints=Constraints(max_changed_words=share)) for share in shares]
        won["shares"].append([result.outcome == "succeeded" for result in by_share])
    for rows in won.values():
        assert all(row == sorted(row) for row in rows)
        rates = np.mean(rows, axis=0)
        assert rates[0] < rates[-1]


def test_too_few_queries_to_rank_change_nothing():
    result = attacked(bag_of_words(WEIGHTS, -3.5), SENTENCE, max_queries=5)
    assert (result.outcome, result.num_queries, result.changes) == ("failed", 5, ())


def test_ten_thousand_words_are_asked_about_a_block_at_a_time():
    """Of a block of words, each is asked about once without it, then three times with a candidate."""
    text = " ".join(f"word{i}" for i in range(10_000))
    sizes = []

    def counting(examples):
        sizes.append(len(examples))
        return constant()(examples)

    attacked(counting, text, max_queries=2500)
    block = [RANKED_TOGETHER, *[3] * RANKED_TOGETHER]
    assert sizes[: 1 + len(block)] == [1, *block]
    assert max(sizes) == RANKED_TOGETHER
    assert sum(sizes) == 2500


def test_a_word_far_down_is_found():
    weights = {"word700": 5.0}
    text = " ".join(f"word{i}" for i in range(1000))
    result = attacked(bag_of_words(weights, -1), text)
    assert [change.old for change in result.changes] == ["word700"]
    # All of the first block comes before it, and all of the second one is ranked.
    assert result.num_queries == 1 + (RANKED_TOGETHER + 3 * RANKED_TOGETHER) + (1000 - RANKED_TOGETHER) + 3
