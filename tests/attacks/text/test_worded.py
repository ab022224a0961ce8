import random

import pytest

from alum.attacks.text.worded import Place, WordedExample, WordedText
from alum.core.errors import InputError

TEXTS = [
    "",
    "   ",
    "?!",
    "one",
    " Don't stop, (world)!  ",
    "<b onclick='x()'>a&amp;b</b> [red]",
    "\x1b[31mred\x07\r\n\ttab\x00end",
    "שלום, עולם! مرحبا",
    "नमस्ते दुनिया",
    "e\u0301te\u0301 naïve 👩\u200d🔬 ok",
    "\udc80 lone \ud800",
]


def of_any_characters(seed):
    rng = random.Random(seed)
    return "".join(chr(rng.choice((rng.randrange(0x80), rng.randrange(0x3000)))) for _ in range(200))


@pytest.mark.parametrize("text", [*TEXTS, *map(of_any_characters, range(5))])
def test_a_text_is_put_together_again_exactly(text):
    worded = WordedText.of(text)
    assert str(worded) == text
    assert len(worded.parts) == 2 * len(worded.words) + 1
    assert [text[start : start + len(w)] for start, w in zip(worded.starts(), worded.words, strict=True)] == [
        *worded.words
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't stop, (world)!", ["Don't", "stop", "world"]),
        ("state-of-the-art -- 'quoted' rock'n'roll", ["state-of-the-art", "quoted", "rock'n'roll"]),
        ("it’s 3.5 km", ["it’s", "3", "5", "km"]),
        ("a_b _c_", ["a_b", "c"]),
        ("<b>bold</b>", ["b", "bold", "b"]),
        ("שלום, עולם!", ["שלום", "עולם"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),  # vowel signs are marks, not letters
        ("e\u0301te\u0301!", ["e\u0301te\u0301"]),
        ("नम\u200dस्ते", ["नम\u200dस्ते"]),
        ("😀 ok 👍", ["ok"]),
        ("$ % …", []),
    ],
)
def test_words_are_letters_marks_and_digits_with_single_joiners_between(text, words):
    assert list(WordedText.of(text).words) == words


def test_a_word_is_replaced_where_it_stands():
    assert str(WordedText.of("the cat, the dog.").replaced(2, "THE")) == "the cat, THE dog."


@pytest.mark.parametrize(
    ("text", "word", "left"),
    [
        ("the cat sat", 0, " cat sat"),
        ("the cat sat", 1, "the sat"),
        ("the cat sat", 2, "the cat "),
        ("the cat, sat", 1, "the , sat"),
        ("(cat)", 0, "()"),
        ("a\n\tb\n c", 1, "a\n\t c"),
    ],
)
def test_a_removed_word_takes_one_space_along(text, word, left):
    removed = WordedText.of(text).removed(word)
    assert str(removed) == left
    assert len(removed.words) == len(WordedText.of(text).words) - 1


PAIR = WordedExample.of(("the cat sat", "a dog"))


@pytest.mark.parametrize(
    ("texts", "places"),
    [
        ((-1,), [(1, 0), (1, 1)]),
        ((0,), [(0, 0), (0, 1), (0, 2)]),
        ((1, 0), [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]),
        ((1, -1), [(1, 0), (1, 1)]),
    ],
)
def test_places_are_the_words_of_the_named_texts(texts, places):
    assert PAIR.places(texts) == places


def test_a_text_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="text number 2, but it has 2"):
        PAIR.places((2,))


def test_in_a_pair_the_other_text_stays():
    assert PAIR.word(Place(1, 1)) == "dog"
    assert PAIR.replaced(Place(1, 1), "d0g").joined() == ("the cat sat", "a d0g")
    assert PAIR.removed(Place(0, 1)).joined() == ("the sat", "a dog")
    assert PAIR.joined() == ("the cat sat", "a dog")
