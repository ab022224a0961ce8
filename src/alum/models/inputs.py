"""Inputs of a model's forward pass: which of them are labels, and which tokens are padding."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

Inputs = Mapping[str, Any]

# Inputs that a model needs for its loss alone; a pass without them computes only outputs.
LABEL_INPUTS = frozenset({"labels", "label", "label_ids", "start_positions", "end_positions", "shift_labels"})


def padding_mask(inputs: Inputs, pad_token_id: int | None = None) -> Tensor:
    """Mask ``[batch, length]``, True at tokens that are not padding.

    It is the attention mask, else True where ``input_ids`` are not ``pad_token_id``. Multiple choice has a row for
    every choice, ``[batch · choices, length]``, as its models do.
    """
    attention_mask: Tensor | None = inputs.get("attention_mask")
    if attention_mask is not None and attention_mask.dim() == 2:
        return attention_mask.bool()
    ids: Tensor = inputs["input_ids"]
    if attention_mask is not None and attention_mask.shape == ids.shape:
        mask = attention_mask.bool()
    else:
        mask = torch.ones_like(ids, dtype=torch.bool) if pad_token_id is None else ids != pad_token_id
    return mask.flatten(0, -2)


def padding_mask_for(model: nn.Module, inputs: Inputs) -> Tensor:
    """Mask as `padding_mask`, with the padding token that the model's configuration names, where it names one."""
    return padding_mask(inputs, getattr(model.config, "pad_token_id", None))
