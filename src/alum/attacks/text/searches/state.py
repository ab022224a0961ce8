"""State of a search on one example: the queries asked, the words changed, and the changes still allowed."""

import random
from collections.abc import Callable, Generator, Sequence
from typing import Any, Literal

import numpy as np

from alum.attacks.text.protocol import Asked, AttackResult, Change, Goal, Outcome, Search, VictimOutputs
from alum.attacks.text.searches.settings import Constraints, SearchSettings
from alum.attacks.text.worded import Example, Place, WordedExample

# The search on one example: its texts, the goal and, where it is known, how many characters of each the victim reads.
TextSearch = Callable[[Example, Goal, Sequence[int] | None], Search]

# Of several changes that reach the goal: the one of the highest loss, or that which leaves the texts most similar.
Preference = Literal["highest_loss", "most_similar"]


class SearchState:
    """State of one search on one example; what is random in it depends on the seed and the example alone.

    Raises `InputError` for an example that lacks one of the attacked texts.
    """

    def __init__(self, constraints: Constraints, settings: SearchSettings, example: Example, goal: Goal) -> None:
        self.constraints, self.settings, self.goal = constraints, settings, goal
        self.original = self.current = WordedExample.of(example)
        self.example = example
        self.places = self.original.places(settings.attacked_texts)
        self.rng = random.Random(f"{settings.seed}:{example}")
        self.clean_outputs = self.outputs = np.empty(0)
        self.changes: dict[Place, str] = {}
        self.edit_distance = 0
        self.num_queries = 0

    def begun(self) -> Generator[Asked, Any, bool]:
        """Asks about the unchanged example; False if the victim's answer is wrong already."""
        (self.clean_outputs,) = yield from self.asked([self.example])
        self.outputs = self.clean_outputs
        return not self.goal.reached(self.outputs[None])[0]

    def asked(self, examples: list[Example]) -> Generator[Asked, Any, VictimOutputs]:
        """Asks the victim about examples: all of them, or the first ones where not enough queries are left."""
        examples = examples[: self.num_queries_left(len(examples))]
        if not examples:
            return np.empty((0, *self.outputs.shape))
        self.num_queries += len(examples)
        outputs: VictimOutputs = yield examples
        return outputs

    def num_queries_left(self, wanted: int) -> int:
        """How many of ``wanted`` further queries may still be asked."""
        limit = self.settings.max_queries
        return wanted if limit is None else min(wanted, limit - self.num_queries)

    @property
    def loss(self) -> float:
        """Loss of the goal at the current texts."""
        return float(self.goal.loss(self.outputs[None])[0])

    @property
    def may_go_on(self) -> bool:
        """Whether the share of changed words allows one more."""
        return len(self.changes) < self.constraints.max_changes(len(self.places), self.settings)

    def open_places(self, characters_read: Sequence[int] | None) -> list[Place]:
        """Places whose words the victim reads, the constraints allow to change, and no change has touched yet."""
        starts = [text.starts() for text in self.original.texts]
        return [
            place
            for place in self.places
            if place not in self.changes
            and (characters_read is None or starts[place.text][place.word] < characters_read[place.text])
            and self.constraints.allow_change_of(self.original.word(place))
        ]

    def without(self, place: Place) -> Example:
        """Texts from which one word is deleted."""
        return self.current.removed(place).joined()

    def with_unknown_word(self, place: Place) -> Example:
        """Texts in which the unknown word stands in the place of one word."""
        return self.current.replaced(place, self.settings.unknown_word).joined()

    def allowed(self, flips: Sequence[tuple[Place, str]]) -> list[tuple[Place, str]]:
        """Filters changes: keeps, once each, those within the edit distance and the similarity to the original."""
        similarity, max_edit_distance = self.settings.similarity, self.constraints.max_edit_distance
        flips = [(place, word) for place, word in dict.fromkeys(flips) if word != self.original.word(place)]
        if max_edit_distance is not None:
            left = max_edit_distance - self.edit_distance
            flips = [(place, word) for place, word in flips if levenshtein(self.original.word(place), word) <= left]
        # A bound of -1 holds of any text: then the similarity is only reported, of the result, which costs far less.
        if similarity is not None and self.settings.min_similarity > -1 and flips:
            examples = [self.current.replaced(place, word).joined() for place, word in flips]
            similar = similarity(self.example, examples) >= self.settings.min_similarity
            flips = [flip for flip, keep in zip(flips, similar, strict=True) if keep]
        return flips

    def best(self, outputs: VictimOutputs) -> int:
        """Index of the output of the highest loss, among those that reach the goal if any does."""
        losses, reached = self.goal.loss(outputs), self.goal.reached(outputs)
        return int(np.where(reached, losses, losses - np.inf).argmax() if reached.any() else losses.argmax())

    def most_similar(self, flips: Sequence[tuple[Place, str]], outputs: VictimOutputs) -> int:
        """Index of the change that leaves the texts most similar to the original, of those that reach the goal.

        Where none does, or the settings have no similarity, it is that of the `best` output.
        """
        reached = np.flatnonzero(self.goal.reached(outputs)).tolist()
        if self.settings.similarity is None or not reached:
            return self.best(outputs)
        examples = [self.current.replaced(*flips[index]).joined() for index in reached]
        most: int = reached[self.settings.similarity(self.example, examples).argmax()]
        return most

    def change(self, place: Place, word: str, outputs: VictimOutputs) -> bool:
        """Makes a change, for which the victim gave ``outputs``; returns whether it reaches the goal."""
        self.current, self.outputs = self.current.replaced(place, word), outputs
        self.edit_distance += levenshtein(self.original.word(place), word)
        self.changes[place] = word
        return bool(self.goal.reached(outputs[None])[0])

    def changed_to_best(
        self, flips: Sequence[tuple[Place, str]], prefers: Preference = "highest_loss"
    ) -> Generator[Asked, Any, bool | None]:
        """Makes the best of the allowed changes, if it raises the loss or reaches the goal.

        Of several that reach the goal it is the one that the search ``prefers``. Returns whether it reaches the goal;
        None if no change was made.
        """
        flips = self.allowed(flips)
        outputs = yield from self.asked([self.current.replaced(place, word).joined() for place, word in flips])
        if not len(outputs):
            return None
        best = self.most_similar(flips, outputs) if prefers == "most_similar" else self.best(outputs)
        if self.goal.reached(outputs)[best] or self.goal.loss(outputs)[best] > self.loss:
            return self.change(*flips[best], outputs[best])
        return None

    def result(self, outcome: Outcome) -> AttackResult:
        """Result of the search where it ends now."""
        return AttackResult(
            original=self.example,
            perturbed=self.current.joined(),
            outcome=outcome,
            clean_outputs=tuple(map(float, self.clean_outputs)),
            adversarial_outputs=tuple(map(float, self.outputs)),
            num_queries=self.num_queries,
            num_words=len(self.places),
            changes=tuple(
                Change(place, self.original.word(place), word) for place, word in sorted(self.changes.items())
            ),
            ended_by_limit=outcome == "failed" and self.num_queries_left(1) == 0,
        )


def levenshtein(first: str, second: str) -> int:
    """Edit distance: the least number of characters to insert, delete or substitute (Levenshtein 1966).

    What both begin and end with costs nothing and is left out: a changed character of a long word is told at once.

    >>> levenshtein("sunday", "saturday")
    3
    """
    shorter = min(len(first), len(second))
    begin = next((i for i in range(shorter) if first[i] != second[i]), shorter)
    end = next((i for i in range(shorter - begin) if first[-1 - i] != second[-1 - i]), shorter - begin)
    first, second = first[begin : len(first) - end], second[begin : len(second) - end]
    row = list(range(len(second) + 1))
    for i, mine in enumerate(first, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(second, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (mine != other))
    return row[-1]
