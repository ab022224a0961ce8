"""HotFlip: replaces words by those that raise the loss most to first order (Ebrahimi et al. 2018, arXiv:1712.06751)."""

from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from alum.attacks.text.candidates.word_tokens import Vocabulary
from alum.attacks.text.protocol import Asked, Consultation, Goal, Search
from alum.attacks.text.searches.gradients import GradientQuestion, Gradients, WordGradient, label_of
from alum.attacks.text.searches.settings import Constraints, SearchSettings
from alum.attacks.text.searches.state import SearchState
from alum.attacks.text.worded import Example, Place, in_case_of


class Flip(NamedTuple):
    """Replacement of the word at a place, and by how much it raises the loss to first order."""

    place: Place
    word: str
    gain: float


# The words that may stand for a word, in small letters.
AllowedWords = Callable[[str], Collection[str]]


def best_flips(
    gradients: Sequence[WordGradient], embeddings: Tensor, num_flips: int, allowed: AllowedWords | None = None
) -> list[Flip]:
    """Finds the ``num_flips`` flips of the highest positive gain g·(e_new − e_old), over all places and words.

    With ``allowed`` they are to those of a word alone. A word that differs from the old one in its case only is none,
    and no negation is.
    """
    flips: list[Flip] = []
    for vocabulary in {id(one.vocabulary): one.vocabulary for one in gradients}.values():
        own = [one for one in gradients if one.vocabulary is vocabulary]
        gains = _gains(own, vocabulary, embeddings, allowed)
        values, indices = gains.flatten().topk(min(num_flips, gains.numel()))
        for value, index in zip(values.tolist(), indices.tolist(), strict=True):
            row, column = divmod(index, gains.shape[1])
            if value > 0:
                flips.append(Flip(own[row].place, vocabulary.words[column], value))
    return sorted(flips, key=lambda flip: -flip.gain)[:num_flips]


def _gains(
    gradients: Sequence[WordGradient], vocabulary: Vocabulary, embeddings: Tensor, allowed: AllowedWords | None
) -> Tensor:
    """Gains ``[places, words]``, -inf where a flip is not allowed."""
    ids = torch.tensor(vocabulary.token_ids, dtype=torch.long, device=embeddings.device)
    old = embeddings[[one.token_id for one in gradients]].float()
    gradient = torch.stack([one.gradient for one in gradients]).float()
    new = embeddings[ids].float()
    gains = gradient @ new.T - (gradient * old).sum(-1, keepdim=True)
    gains[:, vocabulary.protected] = -torch.inf
    for row, one in enumerate(gradients):
        if allowed is not None:
            numbers = [number for word in allowed(one.word) for number in vocabulary.numbers.get(word.casefold(), ())]
            kept = torch.zeros(len(ids), dtype=torch.bool, device=gains.device)
            kept[numbers] = True
            gains[row, ~kept] = -torch.inf
        gains[row, vocabulary.numbers.get(one.word.casefold(), [])] = -torch.inf
    return gains


@dataclass(frozen=True)
class HotFlipSearch:
    """Changes one word at a time: of the flips that are best to first order, the one that raises the loss most.

    For each change the victim is asked about the ``num_flips`` best of all places and words and, where none of them
    raises the loss, about as many more, in ``max_rounds`` rounds at most. Taking a gradient counts
    as a query. Only words of one token are changed, into words of one token.

    Differs from the paper: it wants cosine similarities of 0.8 and the same part of speech, for word vectors that were
    trained to be near for words of like meaning. The embeddings below a transformer hardly ever are that near, even
    those of synonyms, so that the words that are ``allowed`` come from elsewhere, and without them meaning is for the
    constraints to keep. It also searches with a beam for flips of characters.
    """

    gradients: Gradients
    constraints: Constraints
    settings: SearchSettings
    num_flips: int = 20
    max_rounds: int = 5
    allowed: AllowedWords | None = None

    def __call__(self, example: Example, goal: Goal, characters_read: Sequence[int] | None = None) -> Search:
        """Searches one example as `GreedySearch` does; raises `InputError` for a goal without a label."""
        label = label_of(goal, "hotflip")
        state = SearchState(self.constraints, self.settings, example, goal)
        if not (yield from state.begun()):
            return state.result("skipped")
        while state.may_go_on and (places := state.open_places(characters_read)) and state.num_queries_left(1):
            state.num_queries += 1
            question = GradientQuestion(state.current.joined(), places, label)
            gradients = yield Consultation(self.gradients.at_words, question)
            flips = best_flips(gradients, self.gradients.embeddings, self.num_flips * self.max_rounds, self.allowed)
            reached = yield from self._flipped(state, flips)
            if reached is None:
                break
            if reached:
                return state.result("succeeded")
        return state.result("failed")

    def _flipped(self, state: SearchState, flips: list[Flip]) -> Generator[Asked, Any, bool | None]:
        """Makes one more flip and says whether it reaches the goal; None where no flip raises the loss."""
        for start in range(0, len(flips), self.num_flips):
            words = [
                (flip.place, self._cased(state.original.word(flip.place), flip.word))
                for flip in flips[start : start + self.num_flips]
            ]
            reached = yield from state.changed_to_best(words)
            if reached is not None:
                return reached
        return None

    def _cased(self, old: str, new: str) -> str:
        """Gives the new word the capitals of the old one where that does not change its token."""
        return in_case_of(old, new) if self.gradients.ignores_case else new
