"""Attention within sequences that follow each other in rows: each is set apart, attended to by itself, and put back.

What it costs follows from the longest sequence, not from the length of the rows. The table of sequences stands where
layers are given a mask, so that it comes to a layer that runs again in the backward pass (gradient checkpointing) too.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from alum.core.errors import InputError
from alum.models.hooks.packed_rows import PackedRows, gathered
from alum.models.model_parts import base_transformer

NAME = "alum_sequences"
"""Name of the attention in ``config._attn_implementation``; without a table it is ``sdpa``."""

# Others leak or fail: MPNet and DeBERTa compute attention themselves, with biases for relative positions, and DeBERTa
# has a convolution over the row.
SUPPORTED = (
    "albert",
    "bert",
    "camembert",
    "distilbert",
    "electra",
    "gpt2",
    "llama",
    "modernbert",
    "roberta",
    "xlm-roberta",
)
CAUSAL = ("gpt2", "llama")
"""Those among them in which a token sees only what is before it."""


def check_sequence_attention(model: nn.Module, what: str) -> PreTrainedModel:
    """Returns the model without its head; raises `InputError`, saying ``what`` cannot be, where it lacks the attention.

    That is, in architectures that are not `SUPPORTED`, and where another implementation than PyTorch's was chosen.
    """
    base = base_transformer(model)
    model_type = base.config.model_type if isinstance(base, PreTrainedModel) else type(base).__name__
    if not isinstance(base, PreTrainedModel) or model_type not in SUPPORTED:
        raise InputError(f"{what} in a model of type {model_type}: it can in {', '.join(SUPPORTED)}.")
    if (implementation := base.config._attn_implementation) not in ("sdpa", "eager", NAME):
        raise InputError(f"{what} with attn_implementation={implementation!r}: choose 'sdpa' or 'eager'.")
    return base


def by_type_of_layer(base: PreTrainedModel, mask: Tensor) -> Tensor | dict[str, Tensor]:
    """Makes the argument ``attention_mask`` of ``base`` of what its layers are to have, a mask or a table of sequences.

    A table is ``[1, 1, sequences, longest]`` (`PackedRows.table`), and has every token in one sequence.
    """
    if base.config.model_type != "modernbert":
        return mask
    return dict.fromkeys(("full_attention", "sliding_attention"), mask)


def attend_within_sequences(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """Attention of ``[rows, heads, length, head_dim]`` as `AttentionInterface` has it, within the table's sequences.

    Returns ``[rows, length, heads, head_dim]``. With any other mask, or none, it is transformers' ``sdpa``.
    """
    if attention_mask is None or attention_mask.dtype != torch.long:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    packed = PackedRows.of_table(attention_mask[0, 0], query.shape[0], query.shape[2])
    query, key, value = (
        gathered(vectors.transpose(1, 2), packed, fill=False).transpose(1, 2) for vectors in (query, key, value)
    )
    is_causal = kwargs.pop("is_causal", None)
    is_causal = bool(getattr(module, "is_causal", True) if is_causal is None else is_causal)
    mask = _mask_of(packed, is_causal, kwargs.get("sliding_window"))
    attended, _ = sdpa_attention_forward(module, query, key, value, mask, is_causal=is_causal, **kwargs)
    return packed.together(attended), None


def _mask_of(packed: PackedRows, is_causal: bool, window: int | None) -> Tensor | None:
    """Mask ``[sequences, 1, 1 or longest, longest]``, True where a token may attend to another; None where to all.

    A causal one without a window is left to the kernel: what stands behind the end of a sequence is later than it.
    """
    longest = packed.mask.shape[1]
    if window is None or window >= longest:
        is_full = packed.mask.numel() == packed.num_tokens
        return None if is_causal or is_full else packed.mask[:, None, None, :]
    far = torch.arange(longest, device=packed.mask.device)
    far = far[:, None] - far
    near = (far < window) & (far >= 0) if is_causal else far.abs() < window
    # Behind the end everything is seen, so that softmax has something to be over.
    return ((packed.mask[:, None, :] | ~packed.mask[:, :, None]) & near)[:, None]


AttentionInterface.register(NAME, attend_within_sequences)
AttentionMaskInterface.register(NAME, sdpa_mask)
