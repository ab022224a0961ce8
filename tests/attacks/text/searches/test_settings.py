import pytest

from alum.attacks.text.searches.settings import Constraints, SearchSettings
from alum.core.errors import InputError


@pytest.mark.parametrize("hundredths", range(1, 101))
def test_a_share_of_a_hundred_words_is_its_number_of_hundredths(hundredths):
    share = hundredths / 100
    assert Constraints(max_changed_words=share).max_changes(100, SearchSettings()) == hundredths
    assert Constraints().max_changes(100, SearchSettings(max_changed_words=share)) == hundredths


def test_the_share_that_a_user_sets_takes_the_place_of_the_attacks_own():
    own = Constraints(max_changed_words=0.4, min_word_length=3)
    assert own.max_changes(10, SearchSettings()) == 4
    assert own.max_changes(10, SearchSettings(max_changed_words=0.2)) == 2
    assert own.max_changes(10, SearchSettings(max_changed_words=1.0)) == 10


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, float("nan")])
@pytest.mark.parametrize("has_a_share", [Constraints, SearchSettings])
def test_a_share_outside_of_its_range_is_refused(has_a_share, share):
    with pytest.raises(InputError, match=r"must lie in \(0, 1\]"):
        has_a_share(max_changed_words=share)


def test_at_least_one_query_is_needed():
    with pytest.raises(InputError, match="max_queries must be 1 or more, not 0"):
        SearchSettings(max_queries=0)
