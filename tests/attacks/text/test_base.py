import pytest

from alum.attacks.text.base import Resources, SearchSettings, TextAttack
from alum.attacks.text.searches.state import Constraints, Limits
from alum.core.errors import InputError


def attack(*needs):
    return TextAttack(
        "test", "a source", "in nothing", lambda settings, resources: (settings, resources), frozenset(needs)
    )


def test_settings_take_the_place_of_an_attacks_own_constraints():
    own = Constraints(max_changed_share=0.4, min_word_length=3)
    assert SearchSettings().limits(own) == Limits(own)

    def similarity(original, examples): ...

    settings = SearchSettings(
        attacked_texts=[0], max_changed_share=0.2, max_queries=9, similarity=similarity, min_similarity=0.7, seed=5
    )
    changed = Constraints(max_changed_share=0.2, min_word_length=3, similarity=similarity, min_similarity=0.7)
    assert settings.limits(own) == Limits(changed, attacked_texts=(0,), max_queries=9, seed=5)


@pytest.mark.parametrize(
    ("need", "words"),
    [("gradients", "gradients of the attacked model"), ("masked_lm", "--masked_lm"), ("wordnet", "--wordnet_dir")],
)
def test_what_is_missing_is_named_with_the_flag_that_gives_it(need, words):
    with pytest.raises(InputError, match=f"the attack test needs .*{words}"):
        attack(need).search(SearchSettings())
    settings, resources = SearchSettings(seed=3), Resources(**{need: len})
    assert attack(need).search(settings, resources) == (settings, resources)


def test_what_is_not_needed_may_be_missing():
    assert attack().search(SearchSettings())[1] == Resources()
