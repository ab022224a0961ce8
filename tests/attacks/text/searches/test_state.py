import numpy as np
import pytest

from alum.attacks.text.protocol import Misclassified
from alum.attacks.text.searches.settings import Constraints, SearchSettings
from alum.attacks.text.searches.state import SearchState
from alum.attacks.text.worded import Place

GOAL = Misclassified(0)
UNCONSTRAINED = Constraints()


def state_on(text, constraints=UNCONSTRAINED, **settings):
    return SearchState(constraints, SearchSettings(**settings), (text,), GOAL)


def test_new_words_are_asked_about_once_and_within_the_constraints():
    state = state_on("alpha bravo", Constraints(max_edit_distance=2))
    first, second = Place(0, 0), Place(0, 1)
    flips = [(first, "alphas"), (first, "alpha"), (second, "b"), (first, "alphas"), (second, "bravos"), (first, "xyz")]
    assert state.allowed(flips) == [(first, "alphas"), (second, "bravos")]
    state.change(first, "alphas", np.array([0.6, 0.4]))
    assert state.allowed([(second, "bravos"), (second, "bravosh")]) == [(second, "bravos")]
    state.change(second, "bravos", np.array([0.6, 0.4]))
    assert state.allowed([(second, "bravo2")]) == []
    assert state.current.joined() == ("alphas bravos",)


def test_a_word_that_was_changed_is_not_open():
    state = state_on("the alpha x bravo delta", Constraints(min_word_length=2, max_changed_words=0.5))
    assert state.open_places(None) == [Place(0, 1), Place(0, 3), Place(0, 4)]
    assert state.open_places((17,)) == [Place(0, 1), Place(0, 3)]  # delta begins at the nineteenth character
    assert not state.change(Place(0, 3), "b", np.array([0.6, 0.4]))
    assert state.open_places(None) == [Place(0, 1), Place(0, 4)]
    assert state.may_go_on
    assert state.change(Place(0, 1), "a", np.array([0.4, 0.6]))
    assert not state.may_go_on


def test_of_answers_that_reach_the_goal_the_one_with_the_highest_loss_is_best():
    state = state_on("alpha")
    assert state.best(np.array([[0.4, 0.3, 0.3], [0.45, 0.55, 0.0], [0.3, 0.7, 0.0]])) == 2
    assert state.best(np.array([[0.9, 0.1, 0.0], [0.5, 0.3, 0.2], [0.45, 0.35, 0.2]])) == 2
    assert state.best(np.array([[0.4, 0.3, 0.3], [0.45, 0.55, 0.0]])) == 1  # although the first one's loss is higher


def test_the_random_state_is_that_of_the_seed_and_the_example():
    draws = [state_on(text, seed=seed).rng.random() for seed in (0, 1) for text in ("alpha", "bravo")]
    assert len(set(draws)) == 4
    assert state_on("bravo", seed=1).rng.random() == draws[-1]


def test_a_bound_that_any_text_keeps_is_not_asked_about():
    def similarity(original, examples):
        raise AssertionError("asked")

    settings = SearchSettings(similarity=similarity, min_similarity=-1.0)
    state = SearchState(Constraints(), settings, ("one two",), Misclassified(0))
    assert state.allowed([(Place(0, 0), "uno"), (Place(0, 1), "due")]) == [(Place(0, 0), "uno"), (Place(0, 1), "due")]
    bounded = SearchState(Constraints(), SearchSettings(similarity=similarity), ("one two",), Misclassified(0))
    with pytest.raises(AssertionError, match="asked"):
        bounded.allowed([(Place(0, 0), "uno")])
