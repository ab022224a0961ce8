"""Documents to sequences of full length."""

from collections.abc import Sequence

from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from alum.core.errors import InputError


def pack(documents: Sequence[str], tokenizer: PreTrainedTokenizerBase, length_tokens: int, where: str) -> Dataset:
    """Sequences of exactly ``length_tokens``: [CLS], text of one or more documents with [SEP] between them, [SEP].

    No sequence is padded; what does not fill a last sequence is left out. Raises `InputError`, naming ``where`` the
    text is from, if there is not enough for one.
    """
    body = length_tokens - 2
    if body < 1:
        raise InputError(f"max_seq_length must be 3 or more, room for [CLS], a token and [SEP], not {length_tokens}.")
    begin, end = _boundaries(tokenizer)
    stream: list[int] = []
    for ids in tokenizer(list(documents), add_special_tokens=False, verbose=False)["input_ids"]:
        stream.extend(ids)
        stream.append(end)
    count = len(stream) // body
    if count == 0:
        raise InputError(
            f"{where} has {len(stream)} tokens, too few for one sequence of {length_tokens}: "
            "give more text or a smaller max_seq_length."
        )
    rows = [[begin, *stream[i * body : (i + 1) * body], end] for i in range(count)]
    return Dataset.from_dict({"input_ids": rows})


def _boundaries(tokenizer: PreTrainedTokenizerBase) -> tuple[int, int]:
    begin = tokenizer.cls_token_id if tokenizer.cls_token_id is not None else tokenizer.bos_token_id
    end = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
    if begin is None or end is None or tokenizer.mask_token_id is None:
        raise InputError(
            "the tokenizer has no [CLS], [SEP] or [MASK] token: masked-language-model training needs all three. "
            "Use the tokenizer of an encoder such as BERT or RoBERTa."
        )
    return begin, end
