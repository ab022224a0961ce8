"""The attacks on words that change their characters, a row each."""

import dataclasses
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
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
from alum.attacks.greedy import Constraints, GreedySearch
from alum.attacks.words import Place, WordedExample
from alum.core.errors import unknown_name

UNKNOWN_WORD = "[UNK]"


@dataclass(frozen=True)
class CharacterAttack:
    """One candidate for a word by each of the changes, tried in a greedy search.

    ``ranking``: words are ranked by what the model says without them, or with an unknown word in their place.
    """

    name: str
    source: str
    changes: tuple[CharacterChange, ...]
    ranking: Literal["without", "unknown"]
    constraints: Constraints = field(default_factory=Constraints)
    differs: str = ""

    def candidates(self, example: WordedExample, place: Place, rng: random.Random) -> list[str]:
        """The word after each change that it allows."""
        word = example.word(place)
        return [new for change in self.changes if (new := change(word, rng)) is not None]

    def search(
        self,
        unknown_word: str = UNKNOWN_WORD,
        attacked_texts: Sequence[int] = (-1,),
        max_changed_share: float | None = None,
        max_queries: int | None = None,
        seed: int = 0,
    ) -> GreedySearch:
        """The attack's search, within its constraints or with another share of words that may be changed.

        The last text of a pair is attacked unless others are named: the hypothesis of an inference, as in BERT-Attack
        (arXiv:2004.09984) and TextFooler (arXiv:1907.11932).
        """
        constraints = self.constraints
        if max_changed_share is not None:
            constraints = dataclasses.replace(constraints, max_changed_share=max_changed_share)
        return GreedySearch(
            candidates=self.candidates,
            unknown_word=unknown_word if self.ranking == "unknown" else None,
            constraints=constraints,
            attacked_texts=tuple(attacked_texts),
            max_queries=max_queries,
            seed=seed,
        )


_ATTACKS = (
    CharacterAttack(
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
    CharacterAttack(
        name="textbugger",
        source="Li et al. 2018, arXiv:1812.05271, the changes of characters",
        changes=(insert_space, delete_inside, swap_inside, lookalike_or_neighbour_key),
        ranking="without",
        differs=(
            "the paper also puts in words that are near in an embedding, drops candidates by a sentence encoder, and "
            "ranks the sentences of a text before their words"
        ),
    ),
    CharacterAttack(
        name="homoglyphs",
        source="Boucher et al. 2022, arXiv:2106.09898, the homoglyphs",
        changes=(homoglyph,),
        ranking="unknown",
        differs="the paper searches by differential evolution, over several places of a text at once",
    ),
    CharacterAttack(
        name="typos",
        source="Pruthi et al. 2019, arXiv:1905.11268, the neighbouring keys",
        changes=(neighbour_key,),
        ranking="unknown",
        constraints=Constraints(min_word_length=4),
        differs="the paper tries every key at every place in a word, and changes one or two words of a text",
    ),
)

TEXT_ATTACKS = {attack.name: attack for attack in _ATTACKS}


def text_attack_named(name: str) -> CharacterAttack:
    """A row of the table; raises `InputError` for a name that it does not have."""
    if name not in TEXT_ATTACKS:
        raise unknown_name("attack", name, TEXT_ATTACKS)
    return TEXT_ATTACKS[name]
