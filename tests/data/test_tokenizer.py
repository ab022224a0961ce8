import logging
import random

import pytest

from alum.core.errors import InputError
from alum.data.tokenizer import SPECIAL_TOKENS, train_wordpiece
from tiny_texts import sentence


def texts(count=50, seed=0):
    rng = random.Random(seed)
    return [sentence(rng).removesuffix(" .") for _ in range(count)]


def test_the_vocabulary_has_the_size_asked_for_with_the_special_tokens_first():
    tokenizer = train_wordpiece(texts(), vocab_size=60, max_length_tokens=32)
    assert len(tokenizer) == 60
    assert tokenizer.convert_ids_to_tokens([0, 1, 2, 3, 4]) == list(SPECIAL_TOKENS)
    assert tokenizer.model_max_length == 32
    named = (tokenizer.pad_token, tokenizer.unk_token, tokenizer.cls_token, tokenizer.sep_token, tokenizer.mask_token)
    assert named == SPECIAL_TOKENS


def test_text_survives_encoding_and_decoding():
    tokenizer = train_wordpiece(texts(), 60, 32)
    for text in texts(10, seed=1):
        assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


def test_letters_that_the_text_lacks_are_unknown_and_case_is_ignored():
    tokenizer = train_wordpiece(["abc cab"] * 3, 20, 32)
    assert tokenizer.tokenize("ABC xyz") == [*tokenizer.tokenize("abc"), "[UNK]"]


def test_pairs_are_laid_out_as_for_bert():
    tokenizer = train_wordpiece(texts(), 60, 32)
    encoded = tokenizer("the cat", "the dog")
    first, second = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("the cat", "the dog"))
    assert encoded["input_ids"] == [2, *first, 3, *second, 3]
    assert encoded["token_type_ids"] == [0] * (len(first) + 2) + [1] * (len(second) + 1)


def test_the_same_text_gives_the_same_vocabulary():
    # Where it is left to chance, pieces that are equally frequent come in another order each time.
    vocabularies = [train_wordpiece(texts(), 60, 32).get_vocab() for _ in range(5)]
    assert vocabularies == [vocabularies[0]] * 5


def test_a_small_text_gives_a_small_vocabulary_and_a_warning(caplog):
    with caplog.at_level(logging.WARNING, "alum"):
        tokenizer = train_wordpiece(["ab"], 100, 32)
    assert set(tokenizer.get_vocab()) == {*SPECIAL_TOKENS, "a", "b", "##a", "##b", "ab"}
    assert "supports a vocabulary of 10 pieces, not 100" in caplog.text


def test_enough_text_gives_no_warning(caplog):
    train_wordpiece(texts(), 60, 32)
    assert not caplog.records


def test_characters_beyond_the_size_are_left_out_rarest_first():
    tokenizer = train_wordpiece(["aaa bb c"], vocab_size=len(SPECIAL_TOKENS) + 4, max_length_tokens=32)
    assert set(tokenizer.get_vocab()) == {*SPECIAL_TOKENS, "a", "b", "##a", "##b"}


def test_special_tokens_alone_are_no_vocabulary():
    with pytest.raises(InputError, match=r"vocab_size must be above 5, .*not 5"):
        train_wordpiece(["ab"], 5, 32)
