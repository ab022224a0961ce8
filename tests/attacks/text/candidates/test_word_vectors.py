import random

import numpy as np
import pytest
from scipy.spatial.distance import cosine

from alum.attacks.text.candidates.word_vectors import NearbyCandidates, WordVectors
from alum.attacks.text.worded import Place, WordedExample
from alum.core.errors import InputError

NAMES = [f"{first}{second}" for first in "bdfgk" for second in ("ala", "ela", "ila", "ola")]


def vectors_of(folder, rows, head=""):
    file = folder / "vectors.txt"
    lines = [f"{word} {' '.join(map(str, values))}" for word, values in rows]
    file.write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
    return WordVectors(file)


@pytest.fixture
def drawn():
    generator = np.random.default_rng(0)
    return {name: generator.normal(size=6) + 0.6 for name in NAMES}


@pytest.mark.parametrize("head", ["", "20 6\n"], ids=["plain", "word2vec"])
@pytest.mark.parametrize(("most", "min_cosine"), [(50, 0.5), (3, -1.0), (50, 0.9)])
def test_near_words_are_those_of_all_cosines(tmp_path, drawn, most, min_cosine, head):
    vectors = vectors_of(tmp_path, drawn.items(), head)
    for word in NAMES:
        similar = {other: 1 - cosine(drawn[word], drawn[other]) for other in NAMES if other != word}
        expected = [other for other in sorted(similar, key=lambda o: -similar[o]) if similar[other] >= min_cosine]
        assert list(vectors.near(word, most, min_cosine)) == expected[:most]
        assert vectors.near(word.upper(), most, min_cosine) == vectors.near(word, most, min_cosine)
    assert vectors.near("unknown", 50, -1.0) == ()


def test_the_first_of_words_that_differ_in_case_counts_and_a_vector_of_zeros_is_near_none(tmp_path):
    vectors = vectors_of(tmp_path, [("Bern", (1, 0)), ("bern", (0, 1)), ("basel", (1, 0.1)), ("nil", (0, 0))])
    assert vectors.near("bern", 5, 0.9) == ("basel",)
    assert vectors.near("nil", 5, 0.1) == ()


def test_words_may_hold_spaces(tmp_path):
    """As in glove.840B.300d.txt, which has '. . .' and 'at name@domain.com' among its words."""
    rows = [("bern", (1, 0)), (". . .", (1, 0.2)), ("at name@domain.com", (1, 0.1)), ("basel", (1, 0.3))]
    vectors = vectors_of(tmp_path, rows)
    assert vectors.near("bern", 5, 0.5) == ("at name@domain.com", ". . .", "basel")
    assert NearbyCandidates(vectors, 5, 0.5)("bern") == ["basel"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty: expected a word and its numbers"),
        ("a 1 2\nb 1\n", "line 2: expected a word and 2 numbers, not 'b 1"),
        ("a 1 2\nb 1 x\n", "line 2: expected a word and 2 numbers"),
        ("a 1 nan\n", "line 1: expected a word and 2 numbers"),
        ("word\nother\n", "line 1: expected a word and its numbers"),
        ("a 1 2\nb 1 2 3\n", "line 2: expected a word and 2 numbers, not 'b 1 2 3"),
        ("a 1 2\nb c 1\n", "line 2: expected a word and 2 numbers"),
    ],
)
def test_a_file_that_holds_no_vectors_is_refused_with_its_line(tmp_path, content, message):
    (tmp_path / "v.txt").write_text(content)
    with pytest.raises(InputError, match=message):
        WordVectors(tmp_path / "v.txt")
    with pytest.raises(InputError, match=r"no file at .*nowhere"):
        WordVectors(tmp_path / "nowhere")


class Listed:
    def near(self, word, most, min_cosine):
        return ("walk", "quick", "the", "not", "never", "7th", "two-fold", "pace", "zzz")


PARTS = {
    "run": {"noun", "verb"},
    "walk": {"noun", "verb"},
    "stroll": {"verb"},
    "pace": {"noun"},
    "quick": {"adj"},
}


def parts_of_speech(word):
    return frozenset(PARTS.get(word.lower(), ()))


@pytest.mark.parametrize(
    ("parts", "nouns_are_verbs", "word", "expected"),
    [
        (None, False, "run", ["walk", "quick", "pace", "zzz"]),
        (parts_of_speech, False, "run", ["walk", "pace"]),
        (parts_of_speech, False, "stroll", ["walk"]),
        (parts_of_speech, True, "stroll", ["walk", "pace"]),
        (parts_of_speech, False, "unheard", ["zzz"]),
    ],
)
def test_candidates_have_the_part_of_speech_and_are_no_stop_words_or_negations(parts, nouns_are_verbs, word, expected):
    near = NearbyCandidates(Listed(), 50, 0.5, parts, nouns_are_verbs)
    assert near(word) == expected
    found = near.candidates()(WordedExample.of((word.upper(),)), Place(0, 0), random.Random(0))
    assert found == [one.upper() for one in expected]
