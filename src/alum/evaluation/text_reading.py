"""Reading of texts that attacks change: their tokens, how far they are read, and refusal of what is no text."""

import re
from collections.abc import Sequence
from itertools import islice

import numpy as np
from torch import Tensor

from alum.attacks.text.protocol import VictimOutputs
from alum.attacks.text.worded import Example
from alum.core.errors import InputError
from alum.models.tokenization import Tokenization

Tokens = dict[str, list[int]]

_WORD = re.compile(r"\S+")
_WORDS_MORE = 32


def encoded(examples: Sequence[Example], tokenization: Tokenization) -> list[Tokens]:
    """Tokenizes texts or pairs; raises `InputError` for text that is not Unicode."""
    for example in examples:
        check_unicode(example)
    if tokenization.tokenizer.truncation_side != "right":
        return _tokens(examples, tokenization)
    beginnings = [tuple(_beginning(text, tokenization.max_length_tokens) for text in example) for example in examples]
    rows = _tokens(beginnings, tokenization)
    # Where words without a token stood at the beginning, more of the text is read than that.
    short = [
        index
        for index, row in enumerate(rows)
        if beginnings[index] != examples[index] and len(row["input_ids"]) < tokenization.max_length_tokens
    ]
    for index in short:
        (rows[index],) = _tokens([examples[index]], tokenization)
    return rows


def _tokens(examples: Sequence[Example], tokenization: Tokenization) -> list[Tokens]:
    columns = [list(texts) for texts in zip(*examples, strict=True)]
    batch = tokenization(*columns)
    return [{name: batch[name][i] for name in batch} for i in range(len(examples))]


def _beginning(text: str, max_length_tokens: int) -> str:
    """Beginning of a text that is longer than can be read, by its words, which are a token or more each."""
    words = _WORD.finditer(text)
    end = next(islice(words, 2 * max_length_tokens + _WORDS_MORE, None), None)
    return text if end is None else text[: end.start()]


def characters_read(example: Example, tokenization: Tokenization) -> tuple[int, ...]:
    """Number of characters read of a text, or of each of a pair; the others are truncated away and never matter.

    All of them, where the tokenizer does not tell where its tokens are.
    """
    lengths = tuple(map(len, example))
    if not tokenization.tokenizer.is_fast:
        return lengths
    check_unicode(example)
    whole = tokenization.tokenizer(*example, verbose=False)[0]
    cut = tokenization.read(*example)
    read = []
    for text, length in enumerate(lengths):
        ends = [end for own, (_, end) in zip(cut.sequence_ids, cut.offsets, strict=True) if own == text]
        is_whole = len(ends) == whole.sequence_ids.count(text)
        read.append(length if is_whole else max(ends, default=0))
    return tuple(read)


def as_outputs(outputs: Tensor) -> VictimOutputs:
    """Converts a tensor to float64 on the CPU, in which attacks compare losses."""
    return np.asarray(outputs.double().cpu().numpy(), dtype=np.float64)


def check_finite(logits: Tensor) -> None:
    """Raises `InputError` for logits that are not finite."""
    if not logits.isfinite().all():
        raise InputError("the model's logits are not finite: it gives no answer that an attack could turn.")


def check_unicode(example: Example) -> None:
    """Raises `InputError` for lone surrogates, as Python reads bytes that are not UTF-8; no tokenizer reads them."""
    try:
        "".join(example).encode()
    except UnicodeEncodeError as error:
        where = repr(str(error.object)[error.start : error.end][:8])
        raise InputError(f"expected text in UTF-8, but it has bytes or code points that are none: {where}.") from None
