"""Tokens of texts and pairs that are too long, held against what the tokenizer keeps itself."""

import random
import time

import pytest

from alum.data.pretraining.tokenizer import train_byte_level_bpe, train_wordpiece
from alum.models.tokenization import Tokenization
from tiny_texts import opinions

TEXTS = [row["text"] for row in opinions(24)]
WORDS = " ".join(TEXTS).split()


@pytest.fixture(scope="module", params=["wordpiece", "byte_level", "roberta"])
def tokenizer(request):
    if request.param == "wordpiece":
        return train_wordpiece(TEXTS, 120, 64)
    return train_byte_level_bpe(TEXTS, 300, 64, "masked_lm" if request.param == "roberta" else "causal_lm")


def text(rng, most):
    return " ".join(rng.choices(WORDS, k=rng.randrange(most)))


@pytest.mark.parametrize("side", ["left", "right"])
def test_pairs_are_cut_as_the_tokenizer_cuts_them(tokenizer, side):
    rng = random.Random(0)
    tokenizer.truncation_side = side
    for length in (7, 8, 9, 16, 33):
        pairs = [(text(rng, most), text(rng, other)) for most in (2, 5, 12, 40) for other in (2, 5, 12, 40)]
        tokenization = Tokenization(tokenizer, length)
        first, second = zip(*pairs, strict=True)
        expected = tokenizer(list(first), list(second), truncation=True, max_length=length)
        found = tokenization(list(first), list(second))
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            assert found[name] == values
        for index, pair in enumerate(pairs):
            assert tokenization(*pair)["input_ids"] == expected["input_ids"][index]
            for example in (pair, pair[:1]):
                whole = tokenizer(*([one] for one in example), truncation=True, max_length=length)[0]
                read = tokenization.read(*example)
                assert list(read.ids) == whole.ids
                assert list(read.sequence_ids) == whole.sequence_ids
                assert list(read.offsets) == whole.offsets
    tokenizer.truncation_side = "right"


def test_long_pairs_take_no_seconds(tokenizer):
    pair = [" ".join(random.Random(seed).choices(WORDS, k=5000)) for seed in range(2)]
    tokenizer.truncation_side = "left"
    start = time.process_time()
    Tokenization(tokenizer, 128)(*pair)
    assert time.process_time() - start < 1  # 6 to 14 s where the tokenizer cuts it
    tokenizer.truncation_side = "right"
