import random
import re
from collections import Counter

import pytest

from alum.evaluation.behaviour.changes import (
    NUM_VARIANTS,
    other_contractions,
    other_end_mark,
    other_numbers,
    others_of_their_kind,
    phrases_behind,
    swapped_order,
    typing_errors,
    web_marks,
)

COLOURS = others_of_their_kind((("Red", "Green", "Blue"), ("Dark Grey", "White")))


def changed(change, *texts, text=-1, seed=0):
    return change(texts, text, random.Random(seed))


@pytest.mark.parametrize("count", [1, 2])
def test_letters_next_to_each_other_are_swapped_in_so_many_words(count):
    text = "never a gripping and charming film, 1999!"
    variants = changed(typing_errors(count), text)
    assert len(variants) == len(set(variants)) == NUM_VARIANTS
    for (new,) in variants:
        pairs = [(old, word) for old, word in zip(text.split(), new.split(), strict=True) if old != word]
        assert len(pairs) == count
        for old, word in pairs:
            assert old.strip(",") in ("gripping", "charming", "film")
            differing = [at for at, (a, b) in enumerate(zip(old, word, strict=True)) if a != b]
            assert differing == [differing[0], differing[0] + 1]
            assert Counter(old) == Counter(word)
    assert changed(typing_errors(2), "never a film 1999") == []


def test_of_a_pair_the_named_text_alone_is_mistyped():
    for first, second in changed(typing_errors(1), "a gripping film", "a gripping film"):
        assert first == "a gripping film" != second


@pytest.mark.parametrize(
    ("text", "others"),
    [
        ("It's not that I don't care.", {"It is not that I do not care."}),
        ("It is not bad", {"It isn't bad"}),
        ("it is what it is", {"it's what it is"}),
        ("We can't; they won't.", {"We can not; they will not."}),
        ("It cannot fail", {"It can't fail"}),
        ("it 's a film that does n't work .", {"it is a film that does not work ."}),
        ("a film that does not work .", {"a film that does n't work ."}),
        ("that is fine, we will not go", {"that's fine, we won't go"}),
        ("I'm sure you're right", {"I am sure you are right"}),
        ("It's been long", set()),  # has
        ("you CAN NOT and DO NOT", set()),
        ("the dog's bone", set()),
        ("yes, it is.", set()),
        ("a nice film", set()),
    ],
)
def test_contractions_are_written_out_and_the_reverse(text, others):
    assert {new for (new,) in changed(other_contractions, text)} == others


@pytest.mark.parametrize(
    ("text", "other"),
    [("Fine.", "Fine"), ("fine !!", "fine"), ("Why?", "Why"), ("fine", "fine."), ("fine , really", "fine , really .")],
)
def test_a_mark_at_the_end_goes_or_comes(text, other):
    assert changed(other_end_mark, text) == [(other,)]


@pytest.mark.parametrize("text", ["", " ", "..."])
def test_texts_without_a_word_have_no_other_end(text):
    assert changed(other_end_mark, text) == []


def test_addresses_and_handles_stand_behind_the_text():
    for (new,) in changed(web_marks, "A film. "):
        assert re.fullmatch(r"A film\. (https://example\.com/|@)[a-z0-9]{8}", new)


def test_phrases_are_sentences_of_their_own():
    behind = phrases_behind(("Yes.", "No."))
    assert changed(behind, "A film.") == [("A film. Yes.",), ("A film. No.",)]
    assert changed(behind, "a film") == [("a film. Yes.",), ("a film. No.",)]
    assert changed(behind, "a film , all") == [("a film , all . Yes.",), ("a film , all . No.",)]
    assert changed(behind, "  ") == []


def test_a_pair_in_the_other_order():
    assert changed(swapped_order, "a", "b") == [("b", "a")]
    assert changed(swapped_order, "a", "a") == []


def test_words_give_way_to_others_of_their_list_in_the_same_capitals():
    variants = {new for (new,) in changed(COLOURS, "Red and RED, red's; reddish, dark grey")}
    assert variants <= {f"{a} and {a.upper()}, {a.lower()}'s; reddish, white" for a in ("Green", "Blue")}
    assert len(variants) == 2
    assert changed(COLOURS, "reddish") == []
    assert changed(COLOURS, "red green blue") == [], "no other is left"
    assert changed(COLOURS, "red and green") == [], "one other is left for two"


def test_in_pairs_words_change_in_both_texts_or_not_at_all():
    found = changed(COLOURS, "red and white", "red is a colour")
    assert set(found) == {(f"{new} and white", f"{new} is a colour") for new in ("green", "blue")}
    assert changed(COLOURS, "red", "white") == []


def test_numbers_give_way_to_near_ones():
    text = "in 2004 he saw 10 films and 3 plays"
    variants = [new for (new,) in changed(other_numbers, text)]
    assert len(variants) == NUM_VARIANTS
    for new in variants:
        year, films = map(int, re.fullmatch(r"in (\d+) he saw (\d+) films and 3 plays", new).groups())
        assert 1999 <= year <= 2009
        assert year != 2004
        assert films in (8, 9, 11, 12)


@pytest.mark.parametrize(
    "text",
    ["7/10", "9 out of 10", "5 stars", "10%", "12.5", "1,000 more", "007", "$20", "mp3", "8-bit", "16:30", "4 more"],
)
def test_verdicts_amounts_and_parts_of_words_are_no_numbers(text):
    assert changed(other_numbers, text) == []


def test_numbers_of_pairs_change_in_both():
    for first, second in changed(other_numbers, "20 men and 30 boys", "20 men"):
        number = first.split()[0]
        assert number != "20"
        assert (first, second) == (f"{number} men and 30 boys", f"{number} men")
