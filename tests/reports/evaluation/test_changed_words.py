import pytest

from alum.reports.evaluation.changed_words import MAX_WORDS, Piece, changed_words, shortened


def change(word, old, new, text=0):
    return {"text": text, "word": word, "old": old, "new": new}


def test_changes_stand_where_they_were_made():
    (pieces,) = changed_words(["A gentle, slow film."], [change(1, "gentle", "gentel"), change(2, "slow", "")])
    assert pieces == [
        Piece("same", "A "),
        Piece("changed", "gentle", "gentel"),
        Piece("same", ", "),
        Piece("changed", "slow", ""),
        Piece("same", " film."),
    ]


def test_a_letter_that_looks_like_another_is_named():
    (pieces,) = changed_words(["a cat"], [change(1, "cat", "c\u0430t")])
    assert pieces[-1] == Piece("changed", "cat", "c\u0430t (\u0430 U+0430)")


def test_each_text_of_a_pair_has_its_pieces():
    first, second = changed_words(["a cat", "a dog"], [change(1, "dog", "d0g", text=1)])
    assert first == [Piece("same", "a cat")]
    assert second == [Piece("same", "a "), Piece("changed", "dog", "d0g")]


@pytest.mark.parametrize(
    "wrong", [change(9, "cat", "x"), change(-1, "cat", "x"), change(1, "dog", "x"), change(1, "cat", "x", 1)]
)
def test_changes_of_other_texts_are_none(wrong):
    assert changed_words(["a cat"], [wrong]) is None


def test_of_a_long_text_the_surroundings_of_changes_are_kept():
    words = [f"w{number}" for number in range(10_000)]
    (pieces,) = changed_words([" ".join(words)], [change(5000, "w5000", "x"), change(5010, "w5010", "y")])
    assert [piece.kind for piece in pieces] == ["gap", "same", "changed", "same", "changed", "same", "gap"]
    assert pieces[1].old.split() == words[4986:5000]
    assert pieces[3].old.split() == words[5001:5010]
    assert pieces[5].old.split() == words[5011:5025]


def test_changes_at_the_ends_of_a_long_text():
    words = [f"w{number}" for number in range(MAX_WORDS + 1)]
    (pieces,) = changed_words([" ".join(words)], [change(0, "w0", "x"), change(MAX_WORDS, f"w{MAX_WORDS}", "y")])
    assert [piece.kind for piece in pieces] == ["changed", "same", "gap", "same", "changed"]


def test_a_text_of_a_few_words_is_whole():
    text = "  " + " ".join(["w"] * MAX_WORDS) + " !"
    assert shortened(text) == [Piece("same", text)]


@pytest.mark.parametrize("text", ["", " ", "…!", "\n"])
def test_texts_without_words_stay(text):
    assert "".join(piece.old for piece in shortened(text)) == text


def test_long_texts_and_words_without_spaces_are_shortened_too():
    assert sum(len(piece.old) for piece in shortened("word " * 10_000)) < 1000
    assert sum(len(piece.old) for piece in shortened("世" * 10_000)) < 1000
    (pieces,) = changed_words(["x" * 10_000], [change(0, "x" * 10_000, "y" * 10_000)])
    assert all(len(text) < 100 and "…" in text for text in (pieces[0].old, pieces[0].new))


def test_what_moves_or_hides_is_spelled_out():
    (pieces,) = changed_words(["\u202ea\x00 b"], [change(0, "a", "\u200fb")])
    assert [(piece.old, piece.new) for piece in pieces] == [(r"\u202e", ""), ("a", r"\u200fb"), (r"\x00 b", "")]
