"""Table of the attacks on texts: first those that change characters, then those that substitute words.

Its names stand in help texts, so what needs torch or SciPy is imported only when a search is built.
"""

import random

from alum.attacks.text.base import Resources, TextAttack
from alum.attacks.text.candidates.characters import (
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
from alum.attacks.text.candidates.wordnet import synonym_candidates
from alum.attacks.text.searches.greedy import GreedySearch, Ranking
from alum.attacks.text.searches.settings import Constraints, SearchSettings
from alum.attacks.text.searches.state import TextSearch
from alum.attacks.text.worded import Candidates, Place, WordedExample
from alum.core.errors import unknown_name


def character_candidates(*changes: CharacterChange) -> Candidates:
    """Candidates for a word: one by each of the changes of characters that the word allows."""

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
    ranking: Ranking,
    constraints: Constraints = _UNCONSTRAINED,
) -> TextAttack:
    """An attack by greedy search with changes of characters as candidates."""

    def build(settings: SearchSettings, resources: Resources) -> TextSearch:
        return GreedySearch(character_candidates(*changes), ranking, constraints, settings)

    return TextAttack(name, source, differs, build)


def _hotflip(settings: SearchSettings, resources: Resources) -> TextSearch:
    from alum.attacks.text.searches.hotflip import HotFlipSearch

    assert resources.gradients is not None
    return HotFlipSearch(resources.gradients, Constraints(), settings)


def _masked_lm(settings: SearchSettings, resources: Resources) -> TextSearch:
    from alum.attacks.text.candidates.masked_lm import predicted_candidates

    assert resources.masked_lm is not None
    constraints = Constraints(max_changed_words=0.4)  # of BERT-Attack
    return GreedySearch(predicted_candidates(resources.masked_lm), "deletion", constraints, settings)


def _wordnet(settings: SearchSettings, resources: Resources) -> TextSearch:
    from alum.attacks.text.searches.pwws import WeightedSaliencySearch

    assert resources.wordnet is not None
    return WeightedSaliencySearch(synonym_candidates(resources.wordnet), Constraints(), settings)


_ROWS = (
    _by_characters(
        name="deepwordbug",
        source="Gao et al. 2018, arXiv:1801.04354, with all four changes and the constraints of TextAttack's recipe",
        changes=(swap_adjacent, substitute, delete, insert),
        ranking="unknown_word",
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
        ranking="deletion",
        differs=(
            "the paper also puts in words that are near in an embedding, drops candidates by a sentence encoder, and "
            "ranks the sentences of a text before their words"
        ),
    ),
    _by_characters(
        name="homoglyphs",
        source="Boucher et al. 2022, arXiv:2106.09898, the homoglyphs",
        changes=(homoglyph,),
        ranking="unknown_word",
        differs="the paper searches by differential evolution, over several places of a text at once",
    ),
    _by_characters(
        name="typos",
        source="Pruthi et al. 2019, arXiv:1905.11268, the neighbouring keys",
        changes=(neighbour_key,),
        ranking="unknown_word",
        constraints=Constraints(min_word_length=4),
        differs="the paper tries every key at every place in a word, and changes one or two words of a text",
    ),
    TextAttack(
        name="hotflip",
        source="Ebrahimi et al. 2018, arXiv:1712.06751, the words",
        differs=(
            "the paper bounds the cosine similarity of word vectors by 0.8, wants the same part of speech, and flips "
            "characters by a beam search; only words of one token are changed here"
        ),
        build=_hotflip,
        needs=frozenset({"gradients"}),
    ),
    TextAttack(
        name="masked_lm",
        source=(
            "Garg & Ramakrishnan 2020, arXiv:2004.01970, BAE-R; words that may be changed: 40 %, as in Li et al. 2020, "
            "arXiv:2004.09984"
        ),
        differs=(
            "the paper wants the same part of speech, and sentences similar by the Universal Sentence Encoder; "
            "here only words of one token are put in, no stop words are, and similarity is bounded by any encoder, if "
            "one is named"
        ),
        build=_masked_lm,
        needs=frozenset({"masked_lm"}),
    ),
    TextAttack(
        name="wordnet",
        source="Ren et al. 2019, ACL P19-1103, PWWS",
        differs=(
            "the paper takes synonyms of the same part of speech and inflection, and exchanges names of people and "
            "places; here they are those of all parts of speech, in their base form, and stop words stay"
        ),
        build=_wordnet,
        needs=frozenset({"wordnet"}),
    ),
)

TEXT_ATTACKS = {attack.name: attack for attack in _ROWS}


def text_attack_named(name: str) -> TextAttack:
    """Looks up an attack by its name; raises `InputError` for a name that the table does not have."""
    if name not in TEXT_ATTACKS:
        raise unknown_name("attack", name, TEXT_ATTACKS)
    return TEXT_ATTACKS[name]
