import pytest

from alum.attacks.text.candidates.characters import HOMOGLYPHS, LOOKALIKES
from alum.attacks.text.candidates.keyboard import NEIGHBOURS
from alum.attacks.text.protocol import Misclassified
from alum.attacks.text.searches.settings import SearchSettings
from alum.attacks.text.searches.side_by_side import run_searches
from alum.attacks.text.searches.state import levenshtein
from alum.attacks.text.table import TEXT_ATTACKS
from word_victims import bag_of_words, victim_of

ATTACKS = {name: attack for name, attack in TEXT_ATTACKS.items() if not attack.needs}
WORDS = ("wonderful", "brilliant", "touching", "clever", "funny", "charming")
TEXT = f"The film is {', '.join(WORDS[:-1])} and {WORDS[-1]}."


def attacked(attack, victim, text, **settings):
    search = ATTACKS[attack].search(SearchSettings(**settings))
    ((_, result),) = run_searches(victim, [search((text,), Misclassified(1))])
    return result


def weighing(weights, bias):
    """The margin is the bias and the weights of the words that the text still holds."""
    return victim_of(lambda example: bias + sum(weight for word, weight in weights.items() if word in example[0]))


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_attack_turns_a_linear_victim_with_the_fewest_words(attack):
    weights = dict(zip(WORDS, (1.0, 6.0, 3.0, 2.0, 5.0, 4.0), strict=True))
    result = attacked(attack, weighing(weights, bias=-8), TEXT)  # 21 - 8, less 6, less 5, less 4
    assert result.outcome == "succeeded"
    assert {change.old for change in result.changes} == {"brilliant", "funny", "charming"}


@pytest.mark.parametrize(
    ("attack", "num_queries"),
    # "film" is the seventh word that is no stop word; every change is possible in each of these words.
    [("deepwordbug", 1 + 7 + 2 * 4), ("textbugger", 1 + 7 + 2 * 4), ("homoglyphs", 1 + 7 + 2), ("typos", 1 + 7 + 2)],
)
def test_queries_are_one_for_each_ranked_word_and_each_candidate(attack, num_queries):
    result = attacked(attack, weighing(dict.fromkeys(WORDS[:2], 2.0), bias=-1), TEXT)
    assert result.outcome == "succeeded"
    assert result.num_queries == num_queries


def is_deepwordbug(old, new):
    return levenshtein(old, new) == 1 or (levenshtein(old, new) == 2 and sorted(old) == sorted(new))


def is_textbugger(old, new):
    if len(old) == len(new) and levenshtein(old, new) == 1:
        ((was, now),) = [(a, b) for a, b in zip(old, new, strict=True) if a != b]
        return now in LOOKALIKES.get(was, "") + NEIGHBOURS[was]
    return new.replace(" ", "") == old or (old[0], old[-1]) == (new[0], new[-1])


def is_homoglyph(old, new):
    ((was, now),) = [(a, b) for a, b in zip(old, new, strict=True) if a != b]
    return HOMOGLYPHS[was] == now


def is_typo(old, new):
    ((was, now),) = [(a, b) for a, b in zip(old, new, strict=True) if a != b]
    return now in NEIGHBOURS[was] and (old[0], old[-1]) == (new[0], new[-1])


@pytest.mark.parametrize(
    ("attack", "allowed"),
    [
        ("deepwordbug", is_deepwordbug),
        ("textbugger", is_textbugger),
        ("homoglyphs", is_homoglyph),
        ("typos", is_typo),
    ],
)
def test_the_changes_are_those_of_the_attack(attack, allowed):
    for seed in range(20):
        result = attacked(attack, weighing(dict.fromkeys(WORDS, 1.0), bias=9), TEXT, seed=seed)
        assert len(result.changes) == len(WORDS)
        assert all(allowed(change.old, change.new) for change in result.changes)


def test_deepwordbug_stays_within_thirty_edits():
    words = [f"word{i}" for i in range(100)]
    result = attacked("deepwordbug", weighing(dict.fromkeys(words, 1.0), bias=1), " ".join(words))
    assert result.outcome == "failed"
    assert 15 <= len(result.changes) <= 30
    assert levenshtein(*result.original, *result.perturbed) <= 30


def test_typos_leave_words_of_three_letters():
    assert attacked("typos", bag_of_words({"sad": 1.0}, 1), "sad sad").changes == ()


def test_the_share_of_words_can_be_bounded():
    words = WORDS * 2
    result = attacked("homoglyphs", weighing(dict.fromkeys(words, 1.0), 9), " ".join(words), max_changed_words=0.25)
    assert len(result.changes) <= 3
