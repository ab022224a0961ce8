"""Inputs of a model's forward pass: which of them are labels and what these count, and which tokens are padding."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from alum.core.divergences import IGNORED_LABEL

Inputs = Mapping[str, Any]

# Inputs that a model needs for its loss alone; a pass without them computes only outputs.
LABEL_INPUTS = frozenset({"labels", "label", "label_ids", "start_positions", "end_positions", "shift_labels"})

_TOKEN_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids", "position_ids", "special_tokens_mask"})


def unlabelled(model: nn.Module, inputs: Inputs) -> dict[str, Any]:
    """Inputs for a pass of ``model`` that computes outputs without a loss.

    Sequence-to-sequence models make the decoder's inputs of the labels, which are given here instead.
    """
    rest = {name: value for name, value in inputs.items() if name not in LABEL_INPUTS}
    labels = inputs.get("labels")
    if labels is None or rest.get("decoder_input_ids") is not None:
        return rest
    if (made_of_labels := getattr(model, "prepare_decoder_input_ids_from_labels", None)) is not None:
        rest["decoder_input_ids"] = made_of_labels(labels=labels)
    elif type(model).__name__.endswith("ForConditionalGeneration"):  # M2M-100 makes them of labels inside
        rest["decoder_input_ids"] = _shifted_right(labels, model.config)
    return rest


def _shifted_right(labels: Tensor, config: Any) -> Tensor:
    """Labels behind the token that decoding starts with, without the last, and padding for those left out."""
    first = torch.full_like(labels[:, :1], config.decoder_start_token_id)
    shifted = torch.cat([first, labels[:, :-1]], 1)
    return shifted.masked_fill(shifted.eq(IGNORED_LABEL), config.pad_token_id)


def num_rows(inputs: Inputs) -> int:
    """Number of a batch's rows: the length of ``input_ids``, of the first tensor with dimensions, or of a list."""
    return len(_rows(inputs))


def labels_of_items(inputs: Inputs) -> Tensor:
    """Labels that a model's mean loss is over, -100 where one is left out; some for inputs that have no ``labels``.

    Spans count by their start, which models leave out where it lies behind the last token. Under any other name a
    row's labels count as one.
    """
    labels: Tensor | None = inputs.get("labels")
    if labels is not None:
        return labels
    starts: Tensor | None = inputs.get("start_positions")
    rows = _rows(inputs)
    if starts is None:
        return torch.zeros(len(rows), dtype=torch.long, device=rows.device)
    return (starts.view(len(rows), -1)[:, 0] >= rows.shape[1]).long() * IGNORED_LABEL


def has_labels(inputs: Inputs) -> bool:
    """Whether a batch may have labels, under whatever name: something else than tokens and what describes them."""
    return not inputs.keys() <= _TOKEN_INPUTS


def _rows(inputs: Inputs) -> Tensor:
    named = (inputs.get(name) for name in ("input_ids", *inputs))
    tensor = next((values for values in named if isinstance(values, Tensor) and values.dim() > 0), None)
    if tensor is None:  # texts that a loss tokenizes
        return torch.zeros(next(len(values) for values in inputs.values() if isinstance(values, list)))
    return tensor


def padding_mask(inputs: Inputs, pad_token_id: int | None = None) -> Tensor:
    """Mask ``[batch, length]``, True at tokens that are not padding.

    It is the attention mask, else True where ``input_ids`` are not ``pad_token_id``, and everywhere without these.
    Multiple choice has a row for every choice, ``[batch · choices, length]``, as its models do.
    """
    attention_mask: Tensor | None = inputs.get("attention_mask")
    if attention_mask is not None and attention_mask.dim() == 2:
        return attention_mask.bool()
    if inputs.get("input_ids") is None and isinstance(vectors := inputs.get("inputs_embeds"), Tensor):
        return torch.ones(vectors.shape[:2], dtype=torch.bool, device=vectors.device)
    ids: Tensor = inputs["input_ids"]
    if attention_mask is not None and attention_mask.shape == ids.shape:
        mask = attention_mask.bool()
    else:
        mask = torch.ones_like(ids, dtype=torch.bool) if pad_token_id is None else ids != pad_token_id
    return mask.flatten(0, -2)


def padding_mask_for(model: nn.Module, inputs: Inputs) -> Tensor:
    """Mask as `padding_mask`, with the padding token that the model's configuration names, where it names one."""
    return padding_mask(inputs, getattr(model.config, "pad_token_id", None))
