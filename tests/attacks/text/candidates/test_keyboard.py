import string

import pytest

from alum.attacks.text.candidates.keyboard import NEIGHBOURS


@pytest.mark.parametrize(
    ("key", "around"),
    [("q", "aw"), ("a", "qswz"), ("g", "fhtyvb"), ("p", "ol"), ("m", "njk"), ("l", "opk"), ("z", "asx")],
)
def test_neighbours_touch_on_the_keyboard(key, around):
    assert set(NEIGHBOURS[key]) == set(around)


def test_neighbours_are_mutual():
    assert set(NEIGHBOURS) == set(string.ascii_lowercase)
    for key, around in NEIGHBOURS.items():
        assert all(key in NEIGHBOURS[other] for other in around)
