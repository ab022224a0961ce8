"""What an attack on texts is: where it comes from, what it needs, and the search that it makes of its settings."""

import dataclasses
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

from alum.attacks.text.candidates.masked_lm import WordPredictions
from alum.attacks.text.candidates.wordnet import Synonyms
from alum.attacks.text.searches.hotflip import Gradients
from alum.attacks.text.searches.state import Constraints, Limits, Similarity, TextSearch
from alum.core.errors import InputError

UNKNOWN_WORD = "[UNK]"

Need = Literal["gradients", "masked_lm", "wordnet"]

_GIVEN_BY: dict[Need, str] = {
    "gradients": "the gradients of the attacked model, which sequence classifiers have",
    "masked_lm": "a masked language model: name one with --masked_lm",
    "wordnet": "the files of the WordNet database: name their folder with --wordnet_dir",
}


@dataclass(frozen=True)
class SearchSettings:
    """What all attacks can be told.

    ``unknown_word`` is the victim's, with which some attacks rank words. The last text of a pair is attacked unless
    others are named: the hypothesis of an inference, as in BERT-Attack (arXiv:2004.09984) and TextFooler
    (arXiv:1907.11932). ``max_changed_share`` of the words may be changed, or what the attack allows itself. With a
    ``similarity``, changes that leave an example less than ``min_similarity`` similar to the original are not made.
    """

    unknown_word: str = UNKNOWN_WORD
    attacked_texts: tuple[int, ...] = (-1,)
    max_changed_share: float | None = None
    max_queries: int | None = None
    similarity: Similarity | None = None
    min_similarity: float = 0.0
    seed: int = 0

    def limits(self, constraints: Constraints) -> Limits:
        """The attack's own constraints, or what is set instead."""
        share = constraints.max_changed_share if self.max_changed_share is None else self.max_changed_share
        return Limits(
            dataclasses.replace(
                constraints,
                max_changed_share=share,
                similarity=self.similarity,
                min_similarity=self.min_similarity,
            ),
            tuple(self.attacked_texts),
            self.max_queries,
            self.seed,
        )


@dataclass(frozen=True)
class Resources:
    """What some attacks need: the gradients of the victim, a masked language model's predictions, synonyms."""

    gradients: Gradients | None = None
    masked_lm: WordPredictions | None = None
    wordnet: Synonyms | None = None


NO_RESOURCES = Resources()


@dataclass(frozen=True)
class TextAttack:
    """An attack by its name, with its source, every known difference from that, and what it needs."""

    name: str
    source: str
    differs: str
    build: Callable[[SearchSettings, Resources], TextSearch]
    needs: frozenset[Need] = frozenset()

    def search(self, settings: SearchSettings, resources: Resources = NO_RESOURCES) -> TextSearch:
        """The search with these settings; raises `InputError` for a missing resource and settings out of range."""
        self.check_needs({need for need in self.needs if getattr(resources, need) is not None})
        return self.build(settings, resources)

    def check_needs(self, given: Collection[Need]) -> None:
        """Raises `InputError`, with what gives it, for a need that is not among the ``given`` ones."""
        for need in sorted(self.needs):
            if need not in given:
                raise InputError(f"the attack {self.name} needs {_GIVEN_BY[need]}.")
