"""Search by probability weighted word saliency (PWWS, Ren et al. 2019, ACL P19-1103)."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from scipy.special import softmax

from alum.attacks.text.protocol import Asked, Candidates, Goal, Search, words_of
from alum.attacks.text.searches.greedy import RANKED_TOGETHER
from alum.attacks.text.searches.settings import Constraints, SearchSettings
from alum.attacks.text.searches.state import SearchState
from alum.attacks.text.worded import Example, Place


class _Substitute(NamedTuple):
    place: Place
    word: str
    gain: float
    saliency: float


@dataclass(frozen=True)
class WeightedSaliencySearch:
    """Finds the best candidate for each word of the original, then puts them in until the answer is wrong.

    They are put in by φ(S)·Δ, the highest first (section 3.3): Δ is by how much the candidate alone raises the loss, S
    by how much the unknown word in its place does, and φ the softmax over the words.

    Differs from the paper: candidates that do not raise the loss alone are not put in; long texts are taken
    `RANKED_TOGETHER` words at a time.
    """

    candidates: Candidates
    constraints: Constraints
    settings: SearchSettings

    def __call__(self, example: Example, goal: Goal, characters_read: Sequence[int] | None = None) -> Search:
        """Searches one example as `GreedySearch` does: with the same arguments, seed and errors."""
        state = SearchState(self.constraints, self.settings, example, goal)
        if not (yield from state.begun()):
            return state.result("skipped")
        places = state.open_places(characters_read)
        for start in range(0, len(places), RANKED_TOGETHER):
            for one in (yield from self._substitutes(state, places[start : start + RANKED_TOGETHER])):
                if not state.may_go_on:
                    return state.result("failed")
                if not state.allowed([(one.place, one.word)]):  # beside the changes before
                    continue
                outputs = yield from state.asked([state.current.replaced(one.place, one.word).joined()])
                if len(outputs) and state.change(one.place, one.word, outputs[0]):
                    return state.result("succeeded")
        return state.result("failed")

    def _substitutes(self, state: SearchState, places: list[Place]) -> Generator[Asked, Any, list[_Substitute]]:
        """Best candidate for each place that raises the loss, by saliency times gain, highest first."""
        outputs = yield from state.asked([state.with_unknown_word(place) for place in places])
        if len(outputs) < len(places):
            return []
        saliencies = softmax(state.goal.loss(outputs) - state.loss)
        found = []
        for place, saliency in zip(places, saliencies, strict=True):
            candidates = yield from words_of(self.candidates(state.current, place, state.rng))
            words = state.allowed([(place, word) for word in candidates])
            outputs = yield from state.asked([state.current.replaced(*flip).joined() for flip in words])
            if len(outputs):
                best = state.best(outputs)
                gain = float(state.goal.loss(outputs)[best]) - state.loss
                found.append(_Substitute(place, words[best][1], gain, float(saliency)))
        return sorted((one for one in found if one.gain > 0), key=lambda one: -one.gain * one.saliency)
