"""Greedy search by word importance: rank the words, then change one after the other until the answer is wrong."""

import random
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from alum.attacks.edit_distance import levenshtein
from alum.attacks.search import AttackResult, Change, Goal, Outcome, Outputs, Search
from alum.attacks.stop_words import is_stop_word
from alum.attacks.words import Example, Place, WordedExample
from alum.core.errors import InputError

# The words that may stand in one place of an example.
Candidates = Callable[[WordedExample, Place, random.Random], Sequence[str]]
# How similar in meaning each of some examples is to the first one, ``[examples]``.
Similarity = Callable[[Example, Sequence[Example]], NDArray[np.float64]]

# Long texts are ranked and changed by so many words at a time, or the ranking would take all the queries there are.
RANKED_TOGETHER = 512


@dataclass(frozen=True)
class Constraints:
    """What a search leaves alone. No word is ever changed twice, and no stop word at all.

    ``max_changed_share`` of the words of the attacked texts may be changed, rounded down, but one word at least, and
    none of fewer than ``min_word_length`` characters. ``max_edit_distance`` bounds the Levenshtein distances of the
    changed words, added up, which is never less than that of the texts. With a ``similarity``, candidates that are less
    than ``min_similarity`` similar to the original are dropped.
    """

    max_changed_share: float = 1.0
    min_word_length: int = 1
    max_edit_distance: int | None = None
    similarity: Similarity | None = None
    min_similarity: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.max_changed_share <= 1:
            raise InputError(
                f"the share of words that may be changed must lie in (0, 1], not {self.max_changed_share}."
            )

    def max_changes(self, num_words: int) -> int:
        # The product may fall just short of the whole number that it stands for, as 0.29 · 100 does.
        return max(1, int(self.max_changed_share * num_words + 1e-9))

    def allow_change_of(self, word: str) -> bool:
        return len(word) >= self.min_word_length and not is_stop_word(word)


@dataclass(frozen=True)
class GreedySearch:
    """Ranks words by the loss without them, then changes one after the other to the candidate of the highest loss.

    For the ranking a word is left out or, where there is an ``unknown_word``, that stands in its place. A change that
    does not raise the loss is not made. The search ends when the goal is reached, no word is left, no more words may be
    changed, or ``max_queries`` are asked: with fewer queries it is the beginning of the same search.

    Differs from TextAttack's GreedyWordSwapWIR: of several candidates for a word, any that reaches the goal will do,
    also where another one has the higher loss; long texts are ranked and changed `RANKED_TOGETHER` words at a time.
    """

    candidates: Candidates
    unknown_word: str | None = None
    constraints: Constraints = field(default_factory=Constraints)
    attacked_texts: tuple[int, ...] = (-1,)
    max_queries: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_queries is not None and self.max_queries < 1:
            raise InputError(f"max_queries must be 1 or more, not {self.max_queries}.")

    def __call__(self, example: Example, goal: Goal, characters_read: Sequence[int] | None = None) -> Search:
        """The search on one example; what is random in it depends on the seed and the example alone.

        ``characters_read`` says how much of each text the victim reads: words that begin after it are left alone.
        Raises `InputError` for an example that lacks one of the attacked texts.
        """
        return _Walk(self, example, goal).search(characters_read)


class _Walk:
    """One search: where it has come to, and what it has asked."""

    def __init__(self, settings: GreedySearch, example: Example, goal: Goal) -> None:
        self.settings, self.goal = settings, goal
        self.original = self.current = WordedExample.of(example)
        self.example = example
        self.places = self.original.places(settings.attacked_texts)
        self.rng = random.Random(f"{settings.seed}:{example}")
        self.outputs: Outputs = np.empty(0)
        self.changes: dict[Place, str] = {}
        self.edit_distance = 0
        self.num_queries = 0

    def search(self, characters_read: Sequence[int] | None) -> Search:
        (clean,) = yield from self.asked([self.example])
        self.outputs = clean
        if self.goal.reached(clean[None])[0]:
            return self.result("skipped", clean)
        places = self.open_places(characters_read)
        for start in range(0, len(places), RANKED_TOGETHER):
            ranked = yield from self.ranked(places[start : start + RANKED_TOGETHER])
            for place in ranked:
                if len(self.changes) == self.settings.constraints.max_changes(len(self.places)):
                    return self.result("failed", clean)
                if (yield from self.changed(place)):
                    return self.result("succeeded", clean)
        return self.result("failed", clean)

    def asked(self, examples: list[Example]) -> Generator[list[Example], Outputs, Outputs]:
        """The outputs for the examples, or for the first of them where not enough queries are left."""
        if self.settings.max_queries is not None:
            examples = examples[: self.settings.max_queries - self.num_queries]
        if not examples:
            return np.empty((0, *self.outputs.shape))
        self.num_queries += len(examples)
        outputs = yield examples
        return outputs

    def open_places(self, characters_read: Sequence[int] | None) -> list[Place]:
        """The places whose words the victim reads and the constraints leave open."""
        starts = [text.starts() for text in self.original.texts]
        return [
            place
            for place in self.places
            if (characters_read is None or starts[place.text][place.word] < characters_read[place.text])
            and self.settings.constraints.allow_change_of(self.original.word(place))
        ]

    def ranked(self, places: list[Place]) -> Generator[list[Example], Outputs, list[Place]]:
        """The places, the most important first; none where there are too few queries for all of them."""
        unknown = self.settings.unknown_word
        without = [
            (self.current.removed(place) if unknown is None else self.current.replaced(place, unknown)).joined()
            for place in places
        ]
        outputs = yield from self.asked(without)
        if len(outputs) < len(places):
            return []
        return [places[i] for i in np.argsort(-self.goal.loss(outputs), kind="stable")]

    def changed(self, place: Place) -> Generator[list[Example], Outputs, bool]:
        """Changes the word to the best candidate, if that helps. Whether the goal is reached."""
        words = self.allowed(place)
        outputs = yield from self.asked([self.current.replaced(place, word).joined() for word in words])
        if not len(outputs):
            return False
        losses, reached = self.goal.loss(outputs), self.goal.reached(outputs)
        best = int(np.where(reached, losses, losses - np.inf).argmax() if reached.any() else losses.argmax())
        if reached[best] or losses[best] > self.goal.loss(self.outputs[None])[0]:
            self.current, self.outputs = self.current.replaced(place, words[best]), outputs[best]
            self.edit_distance += levenshtein(self.original.word(place), words[best])
            self.changes[place] = words[best]
        return bool(reached[best])

    def allowed(self, place: Place) -> list[str]:
        """The candidates within the constraints, each once."""
        old, constraints = self.original.word(place), self.settings.constraints
        words = list(dict.fromkeys(self.settings.candidates(self.current, place, self.rng)))
        words = [word for word in words if word != old]
        if constraints.max_edit_distance is not None:
            left = constraints.max_edit_distance - self.edit_distance
            words = [word for word in words if levenshtein(old, word) <= left]
        if constraints.similarity is not None and words:
            examples = [self.current.replaced(place, word).joined() for word in words]
            similar = constraints.similarity(self.example, examples) >= constraints.min_similarity
            words = [word for word, keep in zip(words, similar, strict=True) if keep]
        return words

    def result(self, outcome: Outcome, clean: NDArray[np.float64]) -> AttackResult:
        return AttackResult(
            original=self.example,
            perturbed=self.current.joined(),
            outcome=outcome,
            clean_outputs=tuple(map(float, clean)),
            adversarial_outputs=tuple(map(float, self.outputs)),
            num_queries=self.num_queries,
            num_words=len(self.places),
            changes=tuple(
                Change(place, self.original.word(place), word) for place, word in sorted(self.changes.items())
            ),
        )
