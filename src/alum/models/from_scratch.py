"""Configurations of models to train from scratch, named by architecture and size (``bert-tiny``).

The names are asked for without transformers, which takes seconds to import: only building a configuration needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alum.core.errors import InputError, unknown_name
from alum.core.pretraining import Objective, TokenizerKind
from alum.models.tokenizer_fit import num_embeddings_needed

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

    from alum.models.tokenization import Tokenization


@dataclass(frozen=True)
class Size:
    """Shape of a transformer: its depth and widths; attention heads are 64 wide."""

    num_layers: int
    hidden_size: int
    intermediate_size: int

    @property
    def num_heads(self) -> int:
        return self.hidden_size // 64


@dataclass(frozen=True)
class Family:
    """One architecture: its sizes, how they are configured, the vocabulary that it was published with, and its default
    objective and kind of tokenizer."""

    sizes: Mapping[str, Size]
    config: Callable[[Size, Tokenization], PretrainedConfig]
    published_vocab_size: int
    objective: Objective = "masked_lm"
    tokenizer_kind: TokenizerKind = "byte_level_bpe"


def config_from_scratch(architecture: str, tokenization: Tokenization) -> PretrainedConfig:
    """Configures ``architecture`` with room for the tokenizer's vocabulary and for the longest input, no more.

    Dropout and all else are as published, embeddings and output projection share their weights. Raises `InputError`
    for an unknown name and for RoBERTa with a tokenizer that has no padding token.
    """
    family, size = _named(architecture)
    return family.config(size, tokenization)


def objective_of(architecture: str) -> Objective:
    """Objective that models of this name are pre-trained with; raises `InputError` for an unknown one."""
    return _named(architecture)[0].objective


def tokenizer_kind_of(architecture: str) -> TokenizerKind:
    """Kind of tokenizer that models of this name were published with; raises `InputError` for an unknown one."""
    return _named(architecture)[0].tokenizer_kind


def published_vocab_size_of(architecture: str) -> int:
    """Size of the vocabulary that models of this name were published with; raises `InputError` for an unknown one."""
    return _named(architecture)[0].published_vocab_size


def num_blocks_of(architecture: str) -> int:
    """Number of transformer blocks of models of this name; raises `InputError` for an unknown one."""
    return _named(architecture)[1].num_layers


def _named(architecture: str) -> tuple[Family, Size]:
    if architecture not in ARCHITECTURES:
        raise unknown_name("architecture", architecture, ARCHITECTURES)
    name, size = architecture.split("-")
    return FAMILIES[name], FAMILIES[name].sizes[size]


def _bert(size: Size, tokenization: Tokenization) -> PretrainedConfig:
    from transformers import BertConfig

    tokenizer = tokenization.tokenizer
    return BertConfig(
        **_encoder(size, tokenizer),
        max_position_embeddings=tokenization.max_length_tokens,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )


def _roberta(size: Size, tokenization: Tokenization) -> PretrainedConfig:
    tokenizer = tokenization.tokenizer
    pad_token_id = tokenizer.pad_token_id
    if pad_token_id is None:
        raise InputError(
            "RoBERTa counts positions from its padding token on, but the tokenizer has none: "
            "use one with a pad_token, or another architecture."
        )
    from transformers import RobertaConfig

    return RobertaConfig(
        **_encoder(size, tokenizer),
        **_begin_and_end(tokenizer),
        max_position_embeddings=pad_token_id + 1 + tokenization.max_length_tokens,
        type_vocab_size=2 if "token_type_ids" in tokenizer.model_input_names else 1,  # as published: 1
        layer_norm_eps=1e-5,
    )


def _modernbert(size: Size, tokenization: Tokenization) -> PretrainedConfig:
    from transformers import ModernBertConfig

    tokenizer = tokenization.tokenizer
    begin_and_end = _begin_and_end(tokenizer)
    return ModernBertConfig(
        **_encoder(size, tokenizer),
        **begin_and_end,
        max_position_embeddings=tokenization.max_length_tokens,
        cls_token_id=begin_and_end["bos_token_id"],
        sep_token_id=begin_and_end["eos_token_id"],
    )


def _gpt2(size: Size, tokenization: Tokenization) -> PretrainedConfig:
    from transformers import GPT2Config

    tokenizer = tokenization.tokenizer
    return GPT2Config(
        vocab_size=num_embeddings_needed(tokenizer),
        n_positions=tokenization.max_length_tokens,
        n_embd=size.hidden_size,
        n_layer=size.num_layers,
        n_head=size.num_heads,
        n_inner=size.intermediate_size,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
        **_begin_and_end(tokenizer),
    )


def _encoder(size: Size, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    return {
        "vocab_size": num_embeddings_needed(tokenizer),
        "num_hidden_layers": size.num_layers,
        "hidden_size": size.hidden_size,
        "num_attention_heads": size.num_heads,
        "intermediate_size": size.intermediate_size,
        "pad_token_id": tokenizer.pad_token_id,
        "tie_word_embeddings": True,
    }


def _begin_and_end(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """BERT's tokenizer calls them [CLS] and [SEP], GPT-2's bos and eos, RoBERTa's both."""
    begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    return {
        "bos_token_id": tokenizer.cls_token_id if begin is None else begin,
        "eos_token_id": tokenizer.sep_token_id if end is None else end,
    }


# The miniatures of Turc et al. 2019 (arXiv:1908.08962) and the two sizes of Devlin et al. 2019, which are those of Liu
# et al. 2019 (arXiv:1907.11692) too.
_SIZES = {
    "tiny": Size(2, 128, 512),
    "mini": Size(4, 256, 1024),
    "small": Size(4, 512, 2048),
    "medium": Size(8, 512, 2048),
    "base": Size(12, 768, 3072),
    "large": Size(24, 1024, 4096),
}
# Warner et al. 2024 (arXiv:2412.13663), section 2.1: base and large. Smaller ones are as deep and wide as BERT's
# miniatures, with gated layers of base's proportion, 3/2 of the hidden size.
_MODERNBERT_SIZES = {
    "tiny": Size(2, 128, 192),
    "mini": Size(4, 256, 384),
    "small": Size(4, 512, 768),
    "medium": Size(8, 512, 768),
    "base": Size(22, 768, 1152),
    "large": Size(28, 1024, 2624),
}
# Radford et al. 2019, table 2: base is the smallest of theirs, published as gpt2; medium and large are what they were
# published as. Smaller ones are shaped like BERT's miniatures.
_GPT2_SIZES = {
    "tiny": Size(2, 128, 512),
    "mini": Size(4, 256, 1024),
    "small": Size(4, 512, 2048),
    "base": Size(12, 768, 3072),
    "medium": Size(24, 1024, 4096),
    "large": Size(36, 1280, 5120),
}
FAMILIES: dict[str, Family] = {
    "bert": Family(_SIZES, _bert, 30522, tokenizer_kind="wordpiece"),
    "roberta": Family(_SIZES, _roberta, 50265),
    "modernbert": Family(_MODERNBERT_SIZES, _modernbert, 50368),
    "gpt2": Family(_GPT2_SIZES, _gpt2, 50257, objective="causal_lm"),
}
ARCHITECTURES = tuple(f"{name}-{size}" for name, family in FAMILIES.items() for size in family.sizes)
