import pytest

from alum.attacks.text.base import Resources, TextAttack
from alum.attacks.text.searches.settings import SearchSettings
from alum.core.errors import InputError


def attack(*needs):
    return TextAttack(
        "test", "a source", "in nothing", lambda settings, resources: (settings, resources), frozenset(needs)
    )


@pytest.mark.parametrize(
    ("need", "words"),
    [
        ("gradients", "gradients of the attacked model"),
        ("masked_lm", "--masked_lm"),
        ("wordnet", "--wordnet_dir"),
        ("unmasked_lm", "--masked_lm"),
        ("word_vectors", "--word_vectors"),
        ("parts_of_speech", "--wordnet_dir"),
    ],
)
def test_what_is_missing_is_named_with_the_flag_that_gives_it(need, words):
    with pytest.raises(InputError, match=f"the attack test needs .*{words}"):
        attack(need).search(SearchSettings())
    settings, resources = SearchSettings(seed=3), Resources(**{need: len})
    assert attack(need).search(settings, resources) == (settings, resources)


def test_what_is_not_needed_may_be_missing():
    assert attack().search(SearchSettings())[1] == Resources()
