"""Description of an attack on texts: its source, the resources it needs, and how its search is built."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from alum.attacks.text.candidates.wordnet import Synonyms
from alum.attacks.text.searches.settings import SearchSettings
from alum.attacks.text.searches.state import TextSearch
from alum.core.errors import InputError

if TYPE_CHECKING:  # with torch, which takes seconds to import: the table of attacks is read for help texts too
    from alum.attacks.text.candidates.masked_lm import WordPredictions
    from alum.attacks.text.searches.hotflip import Gradients

Need = Literal["gradients", "masked_lm", "wordnet"]

_GIVEN_BY: dict[Need, str] = {
    "gradients": "the gradients of the attacked model, which sequence classifiers have",
    "masked_lm": "a masked language model: name one with --masked_lm",
    "wordnet": "the files of the WordNet database: name their folder with --wordnet_dir",
}


@dataclass(frozen=True)
class Resources:
    """Resources of attacks beside the victim itself: its gradients, a masked language model's predictions, synonyms."""

    gradients: "Gradients | None" = None
    masked_lm: "WordPredictions | None" = None
    wordnet: Synonyms | None = None


NO_RESOURCES = Resources()


@dataclass(frozen=True)
class TextAttack:
    """An attack on texts: its name, source, every known difference from that, and the resources it needs."""

    name: str
    source: str
    differs: str
    build: Callable[[SearchSettings, Resources], TextSearch]
    needs: frozenset[Need] = frozenset()

    def search(self, settings: SearchSettings, resources: Resources = NO_RESOURCES) -> TextSearch:
        """Builds the search with these settings; raises `InputError` for a missing resource."""
        self.check_needs({need for need in self.needs if getattr(resources, need) is not None})
        return self.build(settings, resources)

    def check_needs(self, given: Collection[Need]) -> None:
        """Raises `InputError` for a resource that is needed and not ``given``, with what provides it."""
        for need in sorted(self.needs):
            if need not in given:
                raise InputError(f"the attack {self.name} needs {_GIVEN_BY[need]}.")
