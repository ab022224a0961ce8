"""The attacks on texts that put other words in, a row each."""

from alum.attacks.greedy import GreedySearch
from alum.attacks.hotflip import HotFlipSearch
from alum.attacks.masked_lm import predicted_candidates
from alum.attacks.pwws import WeightedSaliencySearch
from alum.attacks.text_attack import Resources, SearchSettings, TextAttack
from alum.attacks.walk import Constraints, TextSearch
from alum.attacks.wordnet import synonym_candidates


def _hotflip(settings: SearchSettings, resources: Resources) -> TextSearch:
    assert resources.gradients is not None
    return HotFlipSearch(resources.gradients, settings.limits(Constraints()))


def _masked_lm(settings: SearchSettings, resources: Resources) -> TextSearch:
    assert resources.masked_lm is not None
    constraints = Constraints(max_changed_share=0.4)  # of BERT-Attack
    return GreedySearch(predicted_candidates(resources.masked_lm), None, settings.limits(constraints))


def _wordnet(settings: SearchSettings, resources: Resources) -> TextSearch:
    assert resources.wordnet is not None
    candidates = synonym_candidates(resources.wordnet)
    return WeightedSaliencySearch(candidates, settings.unknown_word, settings.limits(Constraints()))


WORD_ATTACKS = (
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
