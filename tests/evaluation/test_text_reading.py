import numpy as np
import pytest
import torch

from alum.core.errors import InputError
from alum.data.pretraining.tokenizer import train_byte_level_bpe, train_wordpiece
from alum.evaluation.text_reading import as_outputs, check_finite, check_unicode, encoded
from alum.models.tokenization import Tokenization

WORDS = ["the cat sits by the river while it rains"] * 3


def test_outputs_are_float64():
    outputs = as_outputs(torch.tensor([0.5, 1.5], dtype=torch.bfloat16))
    assert outputs.dtype == np.float64
    assert outputs.tolist() == [0.5, 1.5]


def test_what_cannot_be_read_is_refused():
    check_unicode(("a", "\u00e9"))
    with pytest.raises(InputError, match="expected text in UTF-8"):
        check_unicode(("a", "b\udcff"))
    check_finite(torch.ones(2))
    with pytest.raises(InputError, match="not finite"):
        check_finite(torch.tensor([1.0, float("inf")]))


@pytest.mark.parametrize("tokenizer", [train_wordpiece(WORDS, 60, 16), train_byte_level_bpe(WORDS, 280, 16)])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(
    "example",
    [
        ("the cat " * 300 + "sits",),
        ("the cat", "rains " * 300 + "sits"),
        ("river " * 300, "the " * 300 + "end"),
        ("\x01 " * 300 + "the cat sits",),  # words without a token
        ("the" * 300,),
        ("",),
    ],
)
def test_of_long_texts_the_same_tokens_are_read_as_of_all_of_them(example, side, tokenizer):
    tokenizer.truncation_side = side
    (found,) = encoded([example], Tokenization(tokenizer, 12))
    whole = tokenizer(*example, truncation=True, max_length=12)
    assert found == dict(whole)


def test_what_is_beyond_the_longest_input_is_not_tokenized(monkeypatch):
    lengths = []

    def noted(self, *columns):
        lengths.extend(len(text) for column in columns for text in column)
        return called(self, *columns)

    called = Tokenization.__call__
    monkeypatch.setattr(Tokenization, "__call__", noted)
    encoded([("the cat " * 50_000,)] * 3, Tokenization(train_wordpiece(WORDS, 60, 16), 12))
    assert max(lengths) < 1000
