import re
import subprocess
import sys

import numpy as np
import pytest

from alum.attacks.text.protocol import Misclassified
from alum.attacks.text.searches.settings import SearchSettings
from alum.attacks.text.searches.side_by_side import run_searches
from alum.attacks.text.table import TEXT_ATTACKS, text_attack_named
from alum.core.errors import InputError
from word_resources import resources
from word_victims import bag_of_words, victim_of

WORDS = ("wonderful", "brilliant", "touching", "clever", "funny", "charming")
TEXT = f"The film is {' , '.join(WORDS[:-1])} and {WORDS[-1]} ."
WEIGHTS = dict(zip(WORDS, (1.0, 6.0, 3.0, 2.0, 5.0, 4.0), strict=True))
NEUTRAL = ("neutral", "impartial")  # of no weight


def attacked(attack, victim, text, **settings):
    search = TEXT_ATTACKS[attack].search(SearchSettings(**settings), resources(WEIGHTS | {"gentle": 0.1}, NEUTRAL))
    ((_, result),) = run_searches(victim, [search((text,), Misclassified(1))])
    return result


@pytest.mark.parametrize("attack", TEXT_ATTACKS)
def test_every_attack_turns_a_linear_victim_with_the_fewest_words(attack):
    result = attacked(attack, bag_of_words(WEIGHTS, bias=-8), TEXT)  # 21 - 8, less 6, less 5, less 4
    assert result.outcome == "succeeded"
    assert {change.old for change in result.changes} == {"brilliant", "funny", "charming"}


@pytest.mark.parametrize("attack", TEXT_ATTACKS)
def test_the_settings_hold_for_every_attack(attack):
    victim = bag_of_words(WEIGHTS, bias=9)
    assert len(attacked(attack, victim, TEXT, max_changed_words=0.2).changes) == 2  # of ten words
    for max_queries in (1, 5, 14):
        result = attacked(attack, victim, TEXT, max_queries=max_queries, max_changed_words=1.0)
        assert result.num_queries == max_queries

    def similarity(original, examples):
        return np.array([1.0 if "brilliant" in example[0] else 0.5 for example in examples])

    result = attacked(attack, victim, TEXT, similarity=similarity, min_similarity=0.6, max_changed_words=1.0)
    assert {change.old for change in result.changes} == set(WORDS) - {"brilliant"}


def test_four_words_in_ten_may_be_others_that_a_language_model_expects():
    for attack in ("masked_lm", "bert_attack"):
        assert len(attacked(attack, bag_of_words(WEIGHTS, bias=9), TEXT).changes) == 4


def test_a_tenth_of_the_words_but_four_of_a_short_text_may_be_near_ones_that_the_gradient_leads_to():
    assert len(attacked("a2t", bag_of_words(WEIGHTS, bias=9), TEXT).changes) == 4
    words = [f"{first}{second}" for first in "bcdfghjk" for second in "lmnpqrst"]
    result = attacked("a2t", bag_of_words(dict.fromkeys(words, 1.0)), " ".join(words))
    assert (result.num_words, len(result.changes), result.outcome) == (64, 6, "failed")


def test_only_bounded_attacks_leave_the_label():
    """Of attacks that put in words freely, none does without what keeps these near in meaning."""
    unbounded = {name for name, attack in TEXT_ATTACKS.items() if attack.may_change_label(())}
    assert unbounded == {"hotflip", "masked_lm", "bert_attack"}
    assert {name for name in unbounded if TEXT_ATTACKS[name].may_change_label({"similarity"})} == {"hotflip"}
    assert {name for name in unbounded if TEXT_ATTACKS[name].may_change_label({"word_vectors"})} == {
        "masked_lm",
        "bert_attack",
    }


@pytest.mark.parametrize(
    "text",
    [
        "[bold]gentle[/bold] <script>alert('gentle')</script> &amp; gentle",
        "\x1b[31mgentle\x1b[0m \x07\x00\r\n gentle\ttab",
        "שלום gentle עולם \u202egentle\u202c",
        "\udc80gentle\ud800",
        "🙂gentle🙂 gentle\u200d",
        "",
        "gentle",
        "नमस्ते दुनिया gentle",
    ],
)
@pytest.mark.parametrize("attack", TEXT_ATTACKS)
def test_of_any_text_only_words_are_changed(attack, text):
    victim = victim_of(lambda example: 0.5 - (0.1 if "gentle" not in example[0] else 0))
    result = attacked(attack, victim, text)
    changed = [change.old for change in result.changes]
    assert changed.count("gentle") == text.count("gentle") or not changed
    perturbed = result.perturbed[0]
    for change in result.changes:
        perturbed = perturbed.replace(change.new, change.old, 1)
    assert perturbed == text


def test_names_are_those_of_the_table_and_sources_are_given():
    for name, attack in TEXT_ATTACKS.items():
        assert attack.name == name
        assert re.search(r"\b(19|20)\d\d\b", attack.source)  # a year


def test_an_unknown_attack_is_told_the_nearest():
    with pytest.raises(
        InputError, match=r"unknown attack 'deepwordbugs': .*deepwordbug, .* Did you mean 'deepwordbug'?"
    ):
        text_attack_named("deepwordbugs")
    assert text_attack_named("typos") is TEXT_ATTACKS["typos"]


def test_names_and_sources_are_read_without_torch():
    """Help texts list the names, and what takes seconds to import would delay them."""
    script = "import sys, alum.attacks.text.table as table; print(*table.TEXT_ATTACKS); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    names, modules = map(str.split, done.stdout.splitlines())
    assert names == list(TEXT_ATTACKS)
    assert not {"torch", "transformers", "datasets", "tokenizers", "scipy"} & set(modules)
