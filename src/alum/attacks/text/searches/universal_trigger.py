"""Universal triggers: words that turn the answer for any text that they are put before (Wallace et al. 2019).

arXiv:1908.07125. Differs from the paper: negations and numbers in figures are no triggers, since they change what a
text says; one word is exchanged at a time, the best of all places, in the place of a beam over each place in turn; and
the search has all rows in each round, not a batch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from alum.attacks.text.protocol import Misclassified, VictimOutputs
from alum.attacks.text.searches.gradients import GradientQuestion, Gradients, WordGradient
from alum.attacks.text.searches.hotflip import best_flips
from alum.attacks.text.searches.side_by_side import Victim
from alum.attacks.text.worded import Example, Place

_FIRST_WORD = "the"
MAX_ROUNDS = 30


@dataclass(frozen=True)
class TriggeredRow:
    """Example with the goal of turning its label, and the index of the text that a trigger is put before."""

    example: Example
    goal: Misclassified
    text: int

    def after(self, words: Sequence[str]) -> Example:
        """Example with words before the text."""
        number = self.text % len(self.example)
        text = f"{' '.join(words)} {self.example[number]}"
        return (*self.example[:number], text, *self.example[number + 1 :])


@dataclass(frozen=True)
class TriggerSearch:
    """Searches the ``num_words`` words that raise the mean loss most when they stand before the text of every row.

    Begins with "the the the". In each round the victim is asked about the ``num_candidates`` exchanges of a word that
    are best to first order, by the mean gradient over the rows, before all of these; the best one is made. It ends
    where none raises the mean loss. Words are those that are one token of the victim's, but negations and numbers.
    """

    victim: Victim
    gradients: Gradients
    num_words: int = 3
    num_candidates: int = 20

    def __call__(self, rows: Sequence[TriggeredRow]) -> tuple[str, ...]:
        """Finds a trigger on rows, whose answers should be right."""
        *_, words = self.rounds(rows)
        return words

    def rounds(self, rows: Sequence[TriggeredRow]) -> Iterator[tuple[str, ...]]:
        """Searches, and gives the words that there are after each of at most `MAX_ROUNDS` rounds, the trigger last."""
        words = (_FIRST_WORD,) * self.num_words
        (loss,) = self._mean_losses(rows, [words])
        for _ in range(MAX_ROUNDS):
            gradients = self._mean_gradients(rows, words)
            flips = best_flips(gradients, self.gradients.embeddings, self.num_candidates)
            exchanged = [(*words[: at.word], new, *words[at.word + 1 :]) for at, new, _ in flips]
            losses = self._mean_losses(rows, exchanged)
            if not losses or max(losses) <= loss:
                yield words
                break
            loss = max(losses)
            words = exchanged[losses.index(loss)]
            yield words

    def _mean_losses(self, rows: Sequence[TriggeredRow], triggers: Sequence[tuple[str, ...]]) -> list[float]:
        """Mean loss over the rows after each of the triggers."""
        if not triggers:
            return []
        outputs = self.victim([row.after(words) for words in triggers for row in rows])
        return [
            sum(_loss(row, output) for row, output in zip(rows, own, strict=True)) / len(rows)
            for own in outputs.reshape(len(triggers), len(rows), -1)
        ]

    def _mean_gradients(self, rows: Sequence[TriggeredRow], words: Sequence[str]) -> list[WordGradient]:
        """Mean gradient at each of the trigger's words that is one token."""
        questions = [
            GradientQuestion(
                row.after(words),
                [Place(row.text % len(row.example), number) for number in range(len(words))],
                row.goal.label,
            )
            for row in rows
        ]
        by_number: dict[int, list[WordGradient]] = {}
        for found in self.gradients.at_words(questions):
            for one in found:
                by_number.setdefault(one.place.word, []).append(one)
        return [
            replace(found[0], place=Place(0, number), gradient=torch.stack([one.gradient for one in found]).mean(0))
            for number, found in sorted(by_number.items())
        ]


def _loss(row: TriggeredRow, output: VictimOutputs) -> float:
    return float(row.goal.loss(output[None])[0])
