"""A tokenizer of each kind to whom the words of some texts are one token each, wherever they stand."""

import re
from collections.abc import Callable, Sequence

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from alum.data.pretraining.tokenizer import train_byte_level_bpe, train_wordpiece


def wordpiece(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    return train_wordpiece([*texts] * 3, 200, 64)


def byte_level_bpe(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """Words after a space and after a bracket, in small letters and with a capital."""
    words = re.findall(r"\w+", " ".join(texts))
    forms = [form for word in words for form in (f" {word}", f"({word})", f" {word.title()}", f"({word.title()})")]
    return train_byte_level_bpe([*texts, *forms * 3], 1200, 64)


def unigram(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """As SentencePiece's, with ▁ for a space and one before the text; without special tokens around it."""
    words = sorted({form for word in re.findall(r"\w+", " ".join(texts)) for form in (word, word.title())})
    pieces = [("<pad>", 0.0), ("<unk>", 0.0), ("<mask>", 0.0), ("▁", -3.0)]
    pieces += [(character, -9.0) for character in sorted(set("".join(words)))]
    pieces += [(mark + word, -5.0) for word in words if len(word) > 1 for mark in ("▁", "")]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=1))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", mask_token="<mask>", model_max_length=64
    )


TOKENIZERS: dict[str, Callable[[Sequence[str]], PreTrainedTokenizerFast]] = {
    "wordpiece": wordpiece,
    "byte_level_bpe": byte_level_bpe,
    "unigram": unigram,
}
