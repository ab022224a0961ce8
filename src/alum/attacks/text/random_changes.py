"""Random changes of texts, by the changes of words that attacks search among: what training draws its texts by."""

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from alum.attacks.text.base import GIVEN_BY, NO_RESOURCES, Need, Resources
from alum.attacks.text.candidates.characters import (
    CharacterChange,
    any_neighbour_key,
    delete,
    double,
    swap_adjacent,
)
from alum.attacks.text.candidates.misspellings import misspelling_candidates
from alum.attacks.text.candidates.protected_words import holds_negation, is_protected
from alum.attacks.text.candidates.stop_words import is_stop_word
from alum.attacks.text.candidates.wordnet import synonym_candidates
from alum.attacks.text.protocol import Candidates, Change, words_at_once
from alum.attacks.text.table import DEEPWORDBUG_CHANGES, HOMOGLYPHS_CHANGES, TEXTBUGGER_CHANGES
from alum.attacks.text.worded import Example, Place, WordedExample, WordedText
from alum.core.errors import InputError, unknown_name

# A new word for that in a place of an unchanged example, drawn at random; None where the word does not allow it.
WordChange = Callable[[WordedExample, Place, random.Random], str | None]


@dataclass(frozen=True)
class KindOfChange:
    """Way to change a word: ``made_of`` resources, of which it may need one.

    Without a change of the word's text it is of its tokens, which whoever encodes the text has to make.
    """

    made_of: Callable[[Resources], WordChange] | None
    need: Need | None = None


def _by_characters(*changes: CharacterChange) -> KindOfChange:
    def changed(example: WordedExample, place: Place, rng: random.Random) -> str | None:
        found = (change(example.word(place), rng) for change in rng.sample(changes, len(changes)))
        return next((new for new in found if new is not None and not holds_negation(new)), None)

    return KindOfChange(lambda resources: changed)


def _drawn_of(candidates: Candidates, *, stop_words_stay: bool) -> WordChange:
    """Draws one of the words that may stand in a place."""

    def changed(example: WordedExample, place: Place, rng: random.Random) -> str | None:
        stays = stop_words_stay and is_stop_word(example.word(place))
        found = () if stays else words_at_once(candidates(example, place, rng))
        return rng.choice(found) if found else None

    return changed


def _of_misspellings(resources: Resources) -> WordChange:
    assert resources.misspellings is not None
    return _drawn_of(misspelling_candidates(resources.misspellings), stop_words_stay=False)


def _of_synonyms(resources: Resources) -> WordChange:
    assert resources.wordnet is not None
    return _drawn_of(synonym_candidates(resources.wordnet), stop_words_stay=True)


def _of_predictions(resources: Resources) -> WordChange:
    from alum.attacks.text.candidates.masked_lm import predicted_candidates  # imports torch

    assert resources.masked_lm is not None
    return _drawn_of(predicted_candidates(resources.masked_lm), stop_words_stay=True)


SUBWORDS = "subwords"
CHANGES: dict[str, KindOfChange] = {
    "typing": _by_characters(any_neighbour_key, delete, double, swap_adjacent),
    "deepwordbug": _by_characters(*DEEPWORDBUG_CHANGES),
    "textbugger": _by_characters(*TEXTBUGGER_CHANGES),
    "homoglyphs": _by_characters(*HOMOGLYPHS_CHANGES),
    "misspellings": KindOfChange(_of_misspellings, need="misspellings"),
    "synonyms": KindOfChange(_of_synonyms, need="wordnet"),
    "masked_lm": KindOfChange(_of_predictions, need="masked_lm"),
    SUBWORDS: KindOfChange(None),
}
"""Changes of a word by name: errors of people who type, those of the attacks of these names, misspellings from a list,
other words, and another segmentation of the same word."""

DEFAULT_CHANGES = ("typing", "deepwordbug")
DEFAULT_WORD_SHARE = 0.2


def kinds_named(names: str | None) -> tuple[str, ...]:
    """Kinds of changes in a list with commas; the default ones where there is none."""
    return DEFAULT_CHANGES if names is None else tuple(name.strip() for name in names.split(","))


def check_changes(names: Sequence[str], word_share: float) -> None:
    """Raises `InputError` for unknown kinds of changes and a share that is out of range."""
    if not names:
        raise InputError(f"expected one or more kinds of changes: {', '.join(CHANGES)}.")
    for name in names:
        if name not in CHANGES:
            raise unknown_name("kind of changes", name, CHANGES)
    if not 0 < word_share <= 1:
        raise InputError(f"the share of words that are changed must lie in (0, 1], not {word_share}.")


def check_sources(names: Sequence[str], given: Collection[str]) -> None:
    """Raises `InputError` for kinds of changes that need a resource which is not ``given``."""
    for name in names:
        need = CHANGES[name].need
        if need is not None and need not in given:
            raise InputError(f"the changes {name} need {GIVEN_BY[need]}.")


@dataclass(frozen=True)
class ChangedExample:
    """Example with some words changed: its texts, the changes in their order, and how many words get other tokens."""

    texts: Example
    changes: tuple[Change, ...]
    num_resegmented: int = 0


class RandomChanges:
    """Changes words of an example at random: each with probability ``word_share``, one at least.

    ``names`` are keys of `CHANGES`, one of which is drawn for each of the words, and another where that one does not
    allow it; ``resources`` are what they need. Words of one character, negations and numbers in figures stay, and no
    negation is put in. Raises `InputError` for unknown names, a share that is out of range, and a missing resource.
    """

    def __init__(self, names: Sequence[str], word_share: float, resources: Resources = NO_RESOURCES) -> None:
        check_changes(names, word_share)
        self.word_share = word_share
        self.names = tuple(names)
        check_sources(names, {name for name, resource in vars(resources).items() if resource is not None})
        made_of = {name: CHANGES[name].made_of for name in names}
        self._changes = {name: None if made is None else made(resources) for name, made in made_of.items()}

    def __call__(self, example: Example, rng: random.Random) -> Example:
        """Draws a changed example; texts without a word that may be changed stay."""
        return self.drawn(example, rng).texts

    def drawn(self, example: Example, rng: random.Random, templates: Sequence[str] = ()) -> ChangedExample:
        """Draws a changed example, and says what was changed; words of ``templates`` that begin a text stay."""
        original = WordedExample.of(example)
        kept = [_num_template_words(text, templates) for text in original.texts]
        places = [
            place
            for place in original.places(range(len(example)))
            if place.word >= kept[place.text] and _may_change(original.word(place))
        ]
        chosen = [place for place in places if rng.random() < self.word_share]
        found = self._changed(original, chosen, rng)
        if not found:  # one at least, if there is one
            others = (self._changed(original, [place], rng) for place in rng.sample(places, len(places)))
            found = next((one for one in others if one), {})
        worded = original
        for place, new in found.items():
            worded = worded if new is None else worded.replaced(place, new)
        changes = tuple(Change(place, original.word(place), new) for place, new in found.items() if new is not None)
        return ChangedExample(worded.joined(), changes, num_resegmented=len(found) - len(changes))

    def _changed(self, original: WordedExample, places: Sequence[Place], rng: random.Random) -> dict[Place, str | None]:
        """Draws new words for those of some places that allow it, None for one that gets other tokens."""
        found: dict[Place, str | None] = {}
        for place in places:
            for name in rng.sample(self.names, len(self.names)):
                change = self._changes[name]
                new = None if change is None else change(original, place, rng)
                if change is None or new is not None:
                    found[place] = new
                    break
        return found


def _num_template_words(text: WordedText, templates: Sequence[str]) -> int:
    """Number of words at the beginning of a text that are all those of the longest template there."""
    found = (WordedText.of(template).words for template in templates if str(text).startswith(template))
    return max((len(words) for words in found if text.words[: len(words)] == words), default=0)


def _may_change(word: str) -> bool:
    return len(word) > 1 and not is_protected(word)
