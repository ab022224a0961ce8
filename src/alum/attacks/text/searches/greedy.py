"""Greedy search by word importance: rank the words, then change one after the other until the answer is wrong."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from alum.attacks.text.protocol import Asked, Candidates, Consultation, Goal, Search, words_of
from alum.attacks.text.searches.settings import Constraints, SearchSettings
from alum.attacks.text.searches.state import Preference, SearchState
from alum.attacks.text.worded import Example, Place

if TYPE_CHECKING:  # with torch, which takes seconds to import: the table of attacks is read for help texts too
    from alum.attacks.text.searches.gradients import Gradients

# Long texts are ranked and changed by so many words at a time, or the ranking would take all the queries there are.
RANKED_TOGETHER = 512

# How is seen what a word matters: it is deleted, the unknown word stands in its place, or the gradient there is taken.
Ranking = Literal["deletion", "unknown_word", "gradient"]


@dataclass(frozen=True)
class GreedySearch:
    """Ranks words by the loss without them, then changes one after the other to the candidate of the highest loss.

    For the ranking a word is deleted, or the unknown word stands in its place, or the length of the gradient at its
    embeddings ranks it: one pass for all words, which counts as a query. Words without a gradient are left alone then.
    A change that does not raise the loss is not made. The search ends when the goal is reached, no word is left, no
    more words may be changed, or ``max_queries`` are asked: with fewer queries it is the beginning of the same search.

    Differs from TextAttack's GreedyWordSwapWIR: of several candidates for a word, any that reaches the goal will do,
    also where another one has the higher loss; long texts are ranked and changed `RANKED_TOGETHER` words at a time.
    """

    candidates: Candidates
    ranking: Ranking
    constraints: Constraints
    settings: SearchSettings
    gradients: "Gradients | None" = None
    """Needed for the ranking by ``"gradient"``, whose goals have a label."""
    prefers: Preference = "highest_loss"
    """Which of several candidates for a word that all reach the goal; only a similarity tells the most similar."""

    def __call__(self, example: Example, goal: Goal, characters_read: Sequence[int] | None = None) -> Search:
        """Searches one example; what is random in it depends on the seed and the example alone.

        ``characters_read`` says how much of each text the victim reads: words that begin after it are left alone.
        Raises `InputError` for an example that lacks one of the attacked texts.
        """
        state = SearchState(self.constraints, self.settings, example, goal)
        if not (yield from state.begun()):
            return state.result("skipped")
        places = state.open_places(characters_read)
        for start in range(0, len(places), RANKED_TOGETHER):
            ranked = yield from self._ranked(state, places[start : start + RANKED_TOGETHER])
            for place in ranked:
                if not state.may_go_on:
                    return state.result("failed")
                words = yield from words_of(self.candidates(state.current, place, state.rng))
                if (yield from state.changed_to_best([(place, word) for word in words], self.prefers)):
                    return state.result("succeeded")
        return state.result("failed")

    def _ranked(self, state: SearchState, places: list[Place]) -> Generator[Asked, Any, list[Place]]:
        """Places by the importance of their words, highest first; none where too few queries are left for all."""
        if self.ranking == "gradient":
            return (yield from self._ranked_by_gradient(state, places))
        changed = state.without if self.ranking == "deletion" else state.with_unknown_word
        outputs = yield from state.asked([changed(place) for place in places])
        if len(outputs) < len(places):
            return []
        return [places[i] for i in np.argsort(-state.goal.loss(outputs), kind="stable")]

    def _ranked_by_gradient(self, state: SearchState, places: list[Place]) -> Generator[Asked, Any, list[Place]]:
        from alum.attacks.text.searches.gradients import GradientQuestion, label_of

        assert self.gradients is not None, "a ranking by gradients needs them"
        label = label_of(state.goal, "a ranking by gradients")
        if not places or not state.num_queries_left(1):
            return []
        state.num_queries += 1
        question = GradientQuestion(state.current.joined(), places, label)
        importance = yield Consultation(self.gradients.importance, question)
        return sorted(importance, key=lambda place: -importance[place])
