"""Description of an attack on texts: its source, the resources it needs, and how its search is built."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from alum.attacks.text.candidates.misspellings import Misspelled
from alum.attacks.text.candidates.word_vectors import NearWords, PartsOfSpeech
from alum.attacks.text.candidates.wordnet import Synonyms
from alum.attacks.text.searches.settings import SearchSettings
from alum.attacks.text.searches.state import TextSearch
from alum.core.errors import InputError

if TYPE_CHECKING:  # with torch, which takes seconds to import: the table of attacks is read for help texts too
    from alum.attacks.text.candidates.masked_lm import WordPredictions
    from alum.attacks.text.searches.gradients import Gradients

Need = Literal["gradients", "masked_lm", "unmasked_lm", "wordnet", "word_vectors", "parts_of_speech", "misspellings"]

GIVEN_BY: dict[Need, str] = {
    "gradients": "the gradients of the attacked model, which sequence classifiers have",
    "masked_lm": "a masked language model: name one with --masked_lm",
    "unmasked_lm": "a masked language model: name one with --masked_lm",
    "wordnet": "the files of the WordNet database: name their folder with --wordnet_dir",
    "word_vectors": "vectors of words that are near for synonyms, as text: name their file with --word_vectors",
    "parts_of_speech": "the files of the WordNet database: name their folder with --wordnet_dir",
    "misspellings": "a list of misspellings: name its file with --misspellings",
}

NAMED_BY: dict[Need, str | None] = {
    "gradients": None,
    "masked_lm": "masked_lm",
    "unmasked_lm": "masked_lm",
    "wordnet": "wordnet_dir",
    "word_vectors": "word_vectors",
    "parts_of_speech": "wordnet_dir",
    "misspellings": "misspellings",
}
"""Setting that gives what an attack needs, None for what every victim that it fits has."""

# What keeps other words near in meaning: vectors of words, or a sentence encoder.
Bound = Literal["word_vectors", "similarity"]

BOUNDED_BY: dict[Bound, str] = {
    "word_vectors": "vectors of words that are near for synonyms, with --word_vectors",
    "similarity": "an encoder, with --similarity_model, and no min_similarity below its default",
}


@dataclass(frozen=True)
class Resources:
    """Resources of attacks beside the victim itself: its gradients, and words from models, files and lists.

    A masked language model predicts words for places that are masked (``masked_lm``), and for those that stand as they
    are (``unmasked_lm``).
    """

    gradients: "Gradients | None" = None
    masked_lm: "WordPredictions | None" = None
    unmasked_lm: "WordPredictions | None" = None
    wordnet: Synonyms | None = None
    word_vectors: NearWords | None = None
    parts_of_speech: PartsOfSpeech | None = None
    misspellings: Misspelled | None = None


NO_RESOURCES = Resources()


@dataclass(frozen=True)
class TextAttack:
    """An attack on texts: its name, source, every known difference from that, and the resources it needs."""

    name: str
    source: str
    differs: str
    build: Callable[[SearchSettings, Resources], TextSearch]
    needs: frozenset[Need] = frozenset()
    uses: frozenset[Need] = frozenset()
    """Resources that it does without, but is bounded by where they are given."""
    bounded_by: frozenset[Bound] | None = None
    """Bounds of which one must be given, or a reader would often give the changed text another label: it puts in words
    that none of its own constraints keeps near in meaning. None of an attack that needs no further bound."""
    draws: bool = False
    """Whether its search draws at random, so that another seed may find other changes."""

    def may_change_label(self, bounds: Collection[Bound]) -> bool:
        """Whether a reader would often give the changed text another label, with these bounds given."""
        return self.bounded_by is not None and self.bounded_by.isdisjoint(bounds)

    def search(self, settings: SearchSettings, resources: Resources = NO_RESOURCES) -> TextSearch:
        """Builds the search with these settings; raises `InputError` for a missing resource."""
        self.check_needs({need for need in self.needs if getattr(resources, need) is not None})
        return self.build(settings, resources)

    def check_needs(self, given: Collection[Need]) -> None:
        """Raises `InputError` for a resource that is needed and not ``given``, with what provides it."""
        for need in sorted(self.needs):
            if need not in given:
                raise InputError(f"the attack {self.name} needs {GIVEN_BY[need]}.")
