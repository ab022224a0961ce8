"""Models to train from scratch, by name."""

import difflib
from typing import NamedTuple

from transformers import BertConfig, PretrainedConfig

from alum.core.errors import InputError


class Size(NamedTuple):
    num_layers: int
    hidden_size: int


# The miniatures of Turc et al. 2019 (arXiv:1908.08962) and the two sizes of Devlin et al. 2019; heads are hidden / 64.
SIZES = {
    "tiny": Size(2, 128),
    "mini": Size(4, 256),
    "small": Size(4, 512),
    "medium": Size(8, 512),
    "base": Size(12, 768),
    "large": Size(24, 1024),
}
ARCHITECTURES = tuple(f"bert-{size}" for size in SIZES)


def config_from_scratch(
    architecture: str, vocab_size: int, max_length_tokens: int, pad_token_id: int
) -> PretrainedConfig:
    """The configuration of ``architecture`` (``bert-tiny`` … ``bert-large``), with positions for the given length.

    Raises `InputError` for an unknown name.
    """
    if architecture not in ARCHITECTURES:
        near = difflib.get_close_matches(architecture, ARCHITECTURES, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InputError(f"unknown architecture {architecture!r}: expected one of {', '.join(ARCHITECTURES)}.{hint}")
    size = SIZES[architecture.removeprefix("bert-")]
    return BertConfig(
        vocab_size=vocab_size,
        num_hidden_layers=size.num_layers,
        hidden_size=size.hidden_size,
        num_attention_heads=max(size.hidden_size // 64, 1),
        intermediate_size=4 * size.hidden_size,
        max_position_embeddings=max(max_length_tokens, 8),
        pad_token_id=pad_token_id,
    )
