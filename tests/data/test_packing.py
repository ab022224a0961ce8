import random

import pytest

from alum.core.errors import InputError
from alum.data.packing import pack
from alum.data.tokenizer import train_wordpiece
from tiny_texts import sentence

CLS, SEP = 2, 3
LENGTH = 16


@pytest.fixture(scope="module")
def documents():
    rng = random.Random(0)
    return [" ".join(sentence(rng) for _ in range(count)) for count in (3, 1, 5, 2)]


@pytest.fixture(scope="module")
def tokenizer(documents):
    return train_wordpiece(documents, 80, LENGTH)


def test_sequences_have_exactly_the_length_between_cls_and_sep(documents, tokenizer):
    rows = pack(documents, tokenizer, LENGTH, "text")["input_ids"][:]
    assert rows
    assert {(len(row), row[0], row[-1], row.count(CLS)) for row in rows} == {(LENGTH, CLS, SEP, 1)}


def test_nothing_is_lost_but_the_tail(documents, tokenizer):
    stream = []
    for document in documents:
        stream += [*tokenizer(document, add_special_tokens=False)["input_ids"], SEP]
    packed = [token for row in pack(documents, tokenizer, LENGTH, "text")["input_ids"][:] for token in row[1:-1]]
    assert packed == stream[: len(packed)]
    assert len(stream) - len(packed) < LENGTH - 2


def test_a_text_that_fills_sequences_exactly_has_no_tail(tokenizer):
    word = tokenizer.convert_ids_to_tokens(tokenizer("the", add_special_tokens=False)["input_ids"])
    assert len(word) == 1
    # 2 · 14 tokens: 27 words and the document's [SEP].
    rows = pack([" ".join(["the"] * 27)], tokenizer, LENGTH, "text")["input_ids"][:]
    assert [len(row) for row in rows] == [LENGTH, LENGTH]
    assert rows[-1][-2:] == [SEP, SEP]


def test_too_little_text_is_refused_with_its_size(tokenizer):
    with pytest.raises(InputError, match=r"notes\.txt has 3 tokens, too few for one sequence of 16.*max_seq_length"):
        pack(["the the"], tokenizer, LENGTH, "notes.txt")


@pytest.mark.parametrize("length", [2, 0, -3])
def test_a_length_without_room_for_text_is_refused(tokenizer, length):
    with pytest.raises(InputError, match=f"max_seq_length must be .* not {length}"):
        pack(["the the"], tokenizer, length, "notes.txt")


def test_a_tokenizer_without_a_mask_token_is_refused(documents):
    tokenizer = train_wordpiece(documents, 80, LENGTH)
    tokenizer.mask_token = None
    with pytest.raises(InputError, match=r"no \[CLS\], \[SEP\] or \[MASK\]"):
        pack(documents, tokenizer, LENGTH, "text")
