import pytest

from alum.attacks.text.candidates.stop_words import STOP_WORDS, is_stop_word
from alum.attacks.text.worded import WordedText


@pytest.mark.parametrize("word", ["the", "The", "NOT", "don't", "Don’t", "it's"])
def test_case_and_kind_of_apostrophe_do_not_matter(word):
    assert is_stop_word(word)


@pytest.mark.parametrize("word", ["", "cat", "them'", "good", "theme"])
def test_other_words_are_none(word):
    assert not is_stop_word(word)


def test_every_stop_word_is_one_word_of_a_text():
    assert all(WordedText.of(word).words == (word,) for word in STOP_WORDS)
