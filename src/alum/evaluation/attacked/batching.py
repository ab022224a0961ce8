"""What victims of attacks on texts have in common: how texts are read, and batches of about the same length."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from alum.attacks.text.protocol import VictimOutputs
from alum.attacks.text.worded import Example
from alum.core.errors import InputError

Tokens = dict[str, list[int]]
Row = TypeVar("Row")

# On a CPU a batch of so many rows costs as much a row as a larger one; it is ended before a row that is a good deal
# shorter. DeepWordBug on 200 sentences of SST-2, 32 at a time: padding adds 6 % to the tokens instead of 33 %, in three
# times as many batches, which on a GPU was not measured.
_ROWS_ENOUGH = 8
_LEAST_SHARE_OF_LENGTH = 7 / 8


def encoded(examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase, max_length_tokens: int) -> list[Tokens]:
    """The tokens of texts or pairs; raises `InputError` for text that is not Unicode."""
    for example in examples:
        check_unicode(example)
    columns = [list(texts) for texts in zip(*examples, strict=True)]
    batch = tokenizer(*columns, truncation=True, max_length=max_length_tokens)
    return [{name: batch[name][i] for name in batch} for i in range(len(examples))]


def characters_read(example: Example, tokenizer: PreTrainedTokenizerBase, max_length_tokens: int) -> tuple[int, ...]:
    """How many characters of a text, or of each of a pair, are read; the others are cut off and can never matter.

    All of them, where the tokenizer does not tell where its tokens are.
    """
    lengths = tuple(map(len, example))
    if not tokenizer.is_fast:
        return lengths
    check_unicode(example)
    whole = tokenizer(*example, verbose=False)[0]
    cut = tokenizer(*example, truncation=True, max_length=max_length_tokens)[0]
    read = []
    for text, length in enumerate(lengths):
        ends = [end for own, (_, end) in zip(cut.sequence_ids, cut.offsets, strict=True) if own == text]
        is_whole = len(ends) == whole.sequence_ids.count(text)
        read.append(length if is_whole else max(ends, default=0))
    return tuple(read)


def in_batches(
    rows: Sequence[Row], lengths: Sequence[int], batch_size: int, run: Callable[[list[Row]], list[Any]]
) -> list[Any]:
    """What ``run`` returns for each row, of batches of about the same length, in the order of the rows."""
    found: dict[int, Any] = {}
    for batch in _batches(lengths, batch_size):
        found.update(zip(batch, run([rows[index] for index in batch]), strict=True))
    return [found[index] for index in range(len(rows))]


def _batches(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """The numbers of the rows, the longest first, in batches of at most ``batch_size``."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        is_shorter = batch and lengths[index] < _LEAST_SHARE_OF_LENGTH * lengths[batch[0]]
        if len(batch) == batch_size or (is_shorter and len(batch) >= _ROWS_ENOUGH):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def largest_batch(model: PreTrainedModel, batch_size: int) -> int:
    """Decoders that know no padding refuse batches."""
    return batch_size if getattr(model.config, "pad_token_id", None) is not None else 1


def as_outputs(outputs: Tensor) -> VictimOutputs:
    return np.asarray(outputs.double().cpu().numpy(), dtype=np.float64)


def check_finite(logits: Tensor) -> None:
    """Raises `InputError` for logits that are not finite."""
    if not logits.isfinite().all():
        raise InputError("the model's logits are not finite: it gives no answer that an attack could turn.")


def check_unicode(example: Example) -> None:
    """Raises `InputError` for lone surrogates, which Python reads bytes as that are not UTF-8; no tokenizer does."""
    try:
        "".join(example).encode()
    except UnicodeEncodeError as error:
        where = repr(str(error.object)[error.start : error.end][:8])
        raise InputError(f"expected text in UTF-8, but it has bytes or code points that are none: {where}.") from None
