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
from alum.attacks.text.candidates.protected_words import holds_negation
from alum.attacks.text.candidates.word_vectors import NearbyCandidates
from alum.attacks.text.candidates.wordnet import synonym_candidates
from alum.attacks.text.protocol import Candidates
from alum.attacks.text.searches.greedy import GreedySearch, Ranking
from alum.attacks.text.searches.settings import Constraints, SearchSettings
from alum.attacks.text.searches.state import TextSearch
from alum.attacks.text.worded import Place, WordedExample
from alum.core.errors import unknown_name


def character_candidates(*changes: CharacterChange) -> Candidates:
    """Candidates for a word: one by each of the changes of characters that the word allows, if that is no negation."""

    def candidates(example: WordedExample, place: Place, rng: random.Random) -> list[str]:
        word = example.word(place)
        made = (change(word, rng) for change in changes)
        return [new for new in made if new is not None and not holds_negation(new)]

    return candidates


_UNCONSTRAINED = Constraints()

# Changes of characters of attacks, which training draws from too.
DEEPWORDBUG_CHANGES: tuple[CharacterChange, ...] = (swap_adjacent, substitute, delete, insert)
TEXTBUGGER_CHANGES: tuple[CharacterChange, ...] = (insert_space, delete_inside, swap_inside, lookalike_or_neighbour_key)
HOMOGLYPHS_CHANGES: tuple[CharacterChange, ...] = (homoglyph,)


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

    return TextAttack(name, source, differs, build, draws=True)


def _hotflip(settings: SearchSettings, resources: Resources) -> TextSearch:
    from alum.attacks.text.searches.hotflip import HotFlipSearch

    assert resources.gradients is not None
    vectors = resources.word_vectors
    near = None if vectors is None else NearbyCandidates(vectors, 50, 0.8, resources.parts_of_speech)
    return HotFlipSearch(resources.gradients, Constraints(), settings, allowed=near)


def _masked_lm(settings: SearchSettings, resources: Resources) -> TextSearch:
    from alum.attacks.text.candidates.masked_lm import predicted_candidates

    assert resources.masked_lm is not None
    constraints = Constraints(max_changed_words=0.4)  # of BERT-Attack
    candidates = predicted_candidates(resources.masked_lm)
    return GreedySearch(candidates, "deletion", constraints, settings, prefers="most_similar")


def _bert_attack(settings: SearchSettings, resources: Resources) -> TextSearch:
    from alum.attacks.text.candidates.masked_lm import predicted_candidates

    assert resources.unmasked_lm is not None
    constraints = Constraints(max_changed_words=0.4)
    return GreedySearch(predicted_candidates(resources.unmasked_lm), "unknown_word", constraints, settings)


def _textfooler(settings: SearchSettings, resources: Resources) -> TextSearch:
    assert resources.word_vectors is not None
    near = NearbyCandidates(resources.word_vectors, 50, 0.7, resources.parts_of_speech, nouns_are_verbs=True)
    return GreedySearch(near.candidates(), "deletion", Constraints(), settings, prefers="most_similar")


def _a2t(settings: SearchSettings, resources: Resources) -> TextSearch:
    assert resources.word_vectors is not None
    assert resources.gradients is not None
    near = NearbyCandidates(resources.word_vectors, 20, 0.8, resources.parts_of_speech)
    constraints = Constraints(max_changed_words=0.1, min_max_changes=4)
    return GreedySearch(near.candidates(), "gradient", constraints, settings, resources.gradients)


def _wordnet(settings: SearchSettings, resources: Resources) -> TextSearch:
    from alum.attacks.text.searches.pwws import WeightedSaliencySearch

    assert resources.wordnet is not None
    return WeightedSaliencySearch(synonym_candidates(resources.wordnet), Constraints(), settings)


def _here(differs: str) -> str:
    """Differences of a row, with the one that all of them have."""
    return f"{differs}; here negations and numbers in figures are never changed, and none is put in"


_ROWS = (
    _by_characters(
        name="deepwordbug",
        source="Gao et al. 2018, arXiv:1801.04354, with all four changes and the constraints of TextAttack's recipe",
        changes=DEEPWORDBUG_CHANGES,
        ranking="unknown_word",
        constraints=Constraints(min_word_length=2, max_edit_distance=30),
        differs=_here(
            "the paper ranks by what recurrent models say of the text up to a word and from it on, and changes a fixed "
            "number of words without asking again; TextAttack has letters of either case, inserts none at the end of a "
            "word, may swap two that are the same, has another list of stop words, and attacks both texts of a pair"
        ),
    ),
    _by_characters(
        name="textbugger",
        source="Li et al. 2018, arXiv:1812.05271, the changes of characters",
        changes=TEXTBUGGER_CHANGES,
        ranking="deletion",
        differs=_here(
            "the paper also puts in words that are near in an embedding, drops candidates by a sentence encoder, and "
            "ranks the sentences of a text before their words"
        ),
    ),
    _by_characters(
        name="homoglyphs",
        source="Boucher et al. 2022, arXiv:2106.09898, the homoglyphs",
        changes=HOMOGLYPHS_CHANGES,
        ranking="unknown_word",
        differs=_here("the paper searches by differential evolution, over several places of a text at once"),
    ),
    _by_characters(
        name="typos",
        source="Pruthi et al. 2019, arXiv:1905.11268, the neighbouring keys",
        changes=(neighbour_key,),
        ranking="unknown_word",
        constraints=Constraints(min_word_length=4),
        differs=_here("the paper tries every key at every place in a word, and changes one or two words of a text"),
    ),
    TextAttack(
        name="hotflip",
        source="Ebrahimi et al. 2018, arXiv:1712.06751, the words",
        differs=_here(
            "the paper bounds the cosine similarity of word vectors by 0.8 and wants the same part of speech, as this "
            "one does where word vectors and a WordNet database are given, and not else; it flips characters by a beam "
            "search; only words of one token are changed here, with vectors into one of the 50 nearest"
        ),
        build=_hotflip,
        needs=frozenset({"gradients"}),
        uses=frozenset({"word_vectors", "parts_of_speech"}),
        bounded_by=frozenset({"word_vectors"}),
    ),
    TextAttack(
        name="masked_lm",
        source=(
            "Garg & Ramakrishnan 2020, arXiv:2004.01970, BAE-R; words that may be changed: 40 %, as in Li et al. 2020, "
            "arXiv:2004.09984"
        ),
        differs=_here(
            "the paper wants the same part of speech, and sentences similar by the Universal Sentence Encoder; "
            "here only words of one token are put in, no stop words are, and any encoder bounds similarity and chooses "
            "among words that turn the answer, if one is named, else the highest loss"
        ),
        build=_masked_lm,
        needs=frozenset({"masked_lm"}),
        bounded_by=frozenset({"similarity"}),
    ),
    TextAttack(
        name="bert_attack",
        source="Li et al. 2020, arXiv:2004.09984, with 48 tokens a place and 40 % of the words",
        differs=_here(
            "the paper ranks words with a mask in their place, where its code, as here, has the unknown word; it reads "
            "the text once, here it is read again after each change; of all combinations of sub-words it takes those "
            "of the lowest perplexity, here those whose tokens are likeliest one by one; it leaves out antonyms by a "
            "dictionary; sentences must be similar by the Universal Sentence Encoder, here by any encoder, if one is "
            "named"
        ),
        build=_bert_attack,
        needs=frozenset({"unmasked_lm"}),
        bounded_by=frozenset({"similarity"}),
    ),
    TextAttack(
        name="textfooler",
        source=(
            "Jin et al. 2020, arXiv:1907.11932, with 50 words a place at a cosine of 0.7 or more by the word vectors"
        ),
        differs=_here(
            "its code has a cosine of 0.5; it tags parts of speech in context, here a word is any that WordNet has for "
            "it, if that is named; sentences must be similar by the Universal Sentence Encoder in a window of 15 "
            "words, here whole texts by any encoder, if one is named; where none is, the highest loss chooses among "
            "words that turn the answer, not the similarity"
        ),
        build=_textfooler,
        needs=frozenset({"word_vectors"}),
        uses=frozenset({"parts_of_speech"}),
    ),
    TextAttack(
        name="a2t",
        source=(
            "Yoo & Qi 2021, arXiv:2109.00544, A2T, with 20 words a place at a cosine of 0.8 or more by the word "
            "vectors, a tenth of the words or four, as in TextAttack's recipe"
        ),
        differs=_here(
            "the paper tags parts of speech in context, here a word is any that WordNet has for it, if that is named; "
            "texts must be similar at 0.9 by a DistilBERT of sentences, here by any encoder, if one is named; "
            "gradients are those of the log odds, which point where those of the cross-entropy do"
        ),
        build=_a2t,
        needs=frozenset({"gradients", "word_vectors"}),
        uses=frozenset({"parts_of_speech"}),
    ),
    TextAttack(
        name="wordnet",
        source="Ren et al. 2019, ACL P19-1103, PWWS",
        differs=_here(
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
