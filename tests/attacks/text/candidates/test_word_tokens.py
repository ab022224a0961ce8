import pytest

from alum.attacks.text.candidates.word_tokens import WordTokens, positions_within
from alum.attacks.text.worded import WordedExample
from alum.core.errors import InputError
from tiny_texts import opinions
from tiny_tokenizers import TOKENIZERS

TEXTS = [row["text"] for row in opinions(24)]
# Words at the start, after spaces, brackets, quotes, a tab and a line break, in capitals, twice, and at the end.
SENTENCES = [TEXTS[0], 'river (dog) "cat" the\tlovely\ncat Dog-dog DOG', "[bold]gentle[/bold] שלום 🙂 dog\x00 cat"]


@pytest.fixture(scope="module", params=TOKENIZERS)
def tokens(request):
    return WordTokens(TOKENIZERS[request.param](TEXTS))


@pytest.mark.parametrize("example", [(SENTENCES[0],), (SENTENCES[1],), (SENTENCES[2],), tuple(SENTENCES[:2])], ids=repr)
def test_a_word_of_the_vocabulary_changes_its_one_token(tokens, example):
    """Each of the words is put in each of the places, and the tokenizer asked what it makes of the text."""
    worded = WordedExample.of(example)
    encoding = tokens.tokenizer(*example)[0]
    positions = tokens.positions(encoding, worded, worded.places(range(len(example))))
    assert len(positions) >= 2
    num_words = 0
    for place, position in positions.items():
        vocabulary = tokens.beside(worded.word(place), encoding.ids[position])
        for word, token_id in zip(vocabulary.words, vocabulary.token_ids, strict=True) if vocabulary else ():
            expected = [*encoding.ids[:position], token_id, *encoding.ids[position + 1 :]]
            assert tokens.tokenizer(*worded.replaced(place, word).joined())["input_ids"] == expected
            num_words += 1
    assert num_words >= 20


def test_words_are_whole_and_of_letters(tokens):
    assert {"river", "gentle"} & set(tokens.words)
    for word in tokens.words:
        assert word.isalpha()
        assert len(tokens.tokenizer(f"the {word}", add_special_tokens=False)["input_ids"]) == 1 + len(
            tokens.tokenizer("the", add_special_tokens=False)["input_ids"]
        )
    assert not {"[MASK]", "MASK", "mask", "<mask>"} & set(tokens.words)
    assert set(tokens.all_ids.values()) == set(tokens.words)
    assert not set(tokens.all_ids) & set(tokens.tokenizer.all_special_ids)


def test_words_of_several_tokens_and_unknown_ones_have_no_place(tokens):
    example = ("riverdogcat 🙂 շ a1b2c3",)
    worded = WordedExample.of(example)
    encoding = tokens.tokenizer(*example)[0]
    positions = tokens.positions(encoding, worded, worded.places([0]))
    assert {tokens.beside(worded.word(place), encoding.ids[at]) for place, at in positions.items()} <= {None}


def test_case_is_told_from_the_tokenizer(tokens):
    same = tokens.tokenizer("DOG")["input_ids"] == tokens.tokenizer("dog")["input_ids"]
    assert tokens.ignores_case == same


def test_words_that_are_the_same_but_for_case(tokens):
    vocabulary = tokens.beside("dog", tokens.tokenizer("the dog", add_special_tokens=False)["input_ids"][-1])
    for word, numbers in vocabulary.numbers.items():
        assert {vocabulary.words[number].casefold() for number in numbers} == {word}
    assert sum(map(len, vocabulary.numbers.values())) == len(vocabulary.words)


def test_a_tokenizer_without_offsets_is_refused(tokens, monkeypatch):
    monkeypatch.setattr(type(tokens.tokenizer), "is_fast", False)
    with pytest.raises(InputError, match="does not tell where in a text its tokens are"):
        WordTokens(tokens.tokenizer)


@pytest.mark.parametrize(
    ("offsets", "expected"),
    [
        ([(0, 1), (2, 5), (5, 8)], [1, 2]),
        ([(0, 1), (1, 5), (5, 8)], [1, 2]),  # with the space before it
        ([(0, 1), (1, 2), (2, 8)], [2]),  # the space is a token by itself
        ([(0, 1), (2, 2), (2, 8)], [2]),  # the same, without characters
        ([(0, 0), (0, 8), (8, 9)], []),  # with another word
        ([(0, 1), (2, 9)], []),  # with the sign behind it
    ],
)
def test_tokens_within_a_word_are_those_of_no_other_characters(offsets, expected):
    assert positions_within(offsets, "a rivers.", 2, 8) == expected


def test_a_token_of_a_sign_and_a_word_is_not_within_the_word():
    assert positions_within([(0, 3), (3, 7)], "alum.org", 5, 8) == []
    assert positions_within([(0, 4), (4, 8)], "alum.org", 5, 8) == []
