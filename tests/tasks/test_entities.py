import random

import pytest

from alum.tasks.entities import entities, mark_entities


def drawn_entities(rng, num_words=12):
    """Entities that do not overlap, some side by side, of the same type or of another."""
    found, word = set(), 0
    while word < num_words:
        if rng.random() < 0.6:
            last = min(word + rng.choice((0, 0, 1, 2, 3)), num_words - 1)
            found.add((rng.choice(("person", "place")), word, last))
            word = last + 1
        else:
            word += 1
    return found


def iob1(type_, length, follows_its_like):
    return ["B" if follows_its_like else "I", *["I"] * (length - 1)]


def iob2(type_, length, follows_its_like):
    return ["B", *["I"] * (length - 1)]


def iobes(type_, length, follows_its_like):
    return ["S"] if length == 1 else ["B", *["I"] * (length - 2), "E"]


def bilou(type_, length, follows_its_like):
    return ["U"] if length == 1 else ["B", *["I"] * (length - 2), "L"]


def bmes(type_, length, follows_its_like):
    return ["S"] if length == 1 else ["B", *["M"] * (length - 2), "E"]


def ioe(type_, length, follows_its_like):
    """The last word alone is marked, wherever it is."""
    return [*["I"] * (length - 1), "E"]


@pytest.mark.parametrize("outside", ["O", "o"])
@pytest.mark.parametrize("scheme", [iob1, iob2, iobes, bilou, bmes, ioe])
def test_entities_are_read_back_from_every_scheme(scheme, outside):
    rng = random.Random(0)
    for _ in range(300):
        drawn, tags = drawn_entities(rng), [outside] * 12
        for type_, first, last in drawn:
            follows = any(other == type_ and end == first - 1 for other, _, end in drawn)
            marks = scheme(type_, last - first + 1, follows)
            tags[first : last + 1] = [f"{mark}-{type_}" for mark in marks]
        assert entities(tags) == drawn


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["O", "I-LOC", "I-PER"], True),
        (["O", "B-x", "I-x", "E-x", "S-x"], True),
        (["O", "B-x", "I-x", "L-x", "U-x"], True),
        (["o", "B-x", "I-x"], True),
        (["O", "b-x", "i-x"], True),
        (["NOUN", "VERB"], False),
        (["O", "PER"], False),
        (["B-x", "other"], False),
        (["O"], False),
        (["0", "1"], False),
    ],
)
def test_schemes_are_told_from_other_labels(names, expected):
    assert mark_entities(names) is expected
