"""The attacks on words that change their characters, a row each."""

import random
from typing import Literal

from alum.attacks.characters import (
    CharacterChange,
    delete,
    delete_inside,
    homoglyph,
    insert,
    insert_space,
    lookalike_or_neighbour_key,
    neighbour_key,
    substitute,
    swap_adjacent,
    swap_inside,
)
from alum.attacks.greedy import GreedySearch
from alum.attacks.text_attack import Resources, SearchSettings, TextAttack
from alum.attacks.walk import Candidates, Constraints, TextSearch
from alum.attacks.words import Place, WordedExample


def character_candidates(*changes: CharacterChange) -> Candidates:
    """One candidate for a word by each of the changes that it allows."""

    def candidates(example: WordedExample, place: Place, rng: random.Random) -> list[str]:
        word = example.word(place)
        return [new for change in changes if (new := change(word, rng)) is not None]

    return candidates


_UNCONSTRAINED = Constraints()


def _by_characters(
    name: str,
    source: str,
    differs: str,
    changes: tuple[CharacterChange, ...],
    ranking: Literal["without", "unknown"],
    constraints: Constraints = _UNCONSTRAINED,
) -> TextAttack:
    """Words are ranked by what the model says without them, or with an unknown word in their place."""

    def build(settings: SearchSettings, resources: Resources) -> TextSearch:
        unknown_word = settings.unknown_word if ranking == "unknown" else None
        return GreedySearch(character_candidates(*changes), unknown_word, settings.limits(constraints))

    return TextAttack(name, source, differs, build)


CHARACTER_ATTACKS = (
    _by_characters(
        name="deepwordbug",
        source="Gao et al. 2018, arXiv:1801.04354, with all four changes and the constraints of TextAttack's recipe",
        changes=(swap_adjacent, substitute, delete, insert),
        ranking="unknown",
        constraints=Constraints(min_word_length=2, max_edit_distance=30),
        differs=(
            "the paper ranks by what recurrent models say of the text up to a word and from it on, and changes a fixed "
            "number of words without asking again; TextAttack has letters of either case, inserts none at the end of a "
            "word, may swap two that are the same, has another list of stop words, and attacks both texts of a pair"
        ),
    ),
    _by_characters(
        name="textbugger",
        source="Li et al. 2018, arXiv:1812.05271, the changes of characters",
        changes=(insert_space, delete_inside, swap_inside, lookalike_or_neighbour_key),
        ranking="without",
        differs=(
            "the paper also puts in words that are near in an embedding, drops candidates by a sentence encoder, and "
            "ranks the sentences of a text before their words"
        ),
    ),
    _by_characters(
        name="homoglyphs",
        source="Boucher et al. 2022, arXiv:2106.09898, the homoglyphs",
        changes=(homoglyph,),
        ranking="unknown",
        differs="the paper searches by differential evolution, over several places of a text at once",
    ),
    _by_characters(
        name="typos",
        source="Pruthi et al. 2019, arXiv:1905.11268, the neighbouring keys",
        changes=(neighbour_key,),
        ranking="unknown",
        constraints=Constraints(min_word_length=4),
        differs="the paper tries every key at every place in a word, and changes one or two words of a text",
    ),
)
