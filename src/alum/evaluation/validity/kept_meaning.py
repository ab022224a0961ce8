"""Figures on how far attacked texts still mean what they meant, as far as models and word lists can tell."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from alum.attacks.text.candidates.stop_words import is_stop_word
from alum.attacks.text.protocol import AttackResult, Change
from alum.attacks.text.searches.settings import Similarity
from alum.attacks.text.worded import WordedExample
from alum.evaluation.validity.word_losses import StandingWord, WordLosses

VALIDITY_FIELDS = ("changed_content_share", "similarity", "perplexity_ratio")
"""Fields of a row's record that `KeptMeaning` gives; the latter two are None where there is no model to ask."""


@dataclass(frozen=True)
class KeptMeaning:
    """Measures what an attack left of a text's meaning: its similarity, its words, and how they fit in their places.

    - ``changed_content_share``: changed words of those that are no stop words, in the texts that may be changed.
    - ``similarity`` of the changed example to the original, by a sentence encoder.
    - ``perplexity_ratio``: e to the mean over changed words of how much more a masked language model is surprised by
      the new word, in the changed text, than by the old one in the original.
    """

    similarity: Similarity | None = None
    word_losses: WordLosses | None = None

    def of(self, result: AttackResult, attacked_texts: Sequence[int]) -> dict[str, Any]:
        """Figures of an attacked example; without a change, a ratio of 1."""
        worded = WordedExample.of(result.original)
        content = sum(not is_stop_word(worded.word(place)) for place in worded.places(attacked_texts))
        similarity = self.similarity and float(self.similarity(result.original, [result.perturbed])[0])
        ratio = None if self.word_losses is None else _ratio(self.word_losses, worded, result.changes)
        return dict(zip(VALIDITY_FIELDS, (len(result.changes) / max(content, 1), similarity, ratio), strict=True))


def _ratio(losses: WordLosses, original: WordedExample, changes: Sequence[Change]) -> float:
    if not changes:
        return 1.0
    perturbed = original
    for change in changes:
        perturbed = perturbed.replaced(change.place, change.new)
    found = losses(
        [
            StandingWord(example.texts[change.place.text], change.place.word)
            for example in (original, perturbed)
            for change in changes
        ]
    )
    old, new = found[: len(changes)], found[len(changes) :]
    return math.exp(fmean(after - before for before, after in zip(old, new, strict=True)))
