"""Attention that stays within a document, for sequences that hold several.

Documents follow each other in a row, each ended by a separator ([SEP], ``</s>``, ``<|endoftext|>``). Rows are cut from
a longer stream, so they may begin and end inside a document; what a row begins with ([CLS]) belongs to its first.
Position ids run on through the row: since rows are cut anywhere, every position is met by every part of a document, and
position embeddings stay trained to the full length.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import PretrainedConfig, PreTrainedModel

from alum.core.errors import InputError
from alum.models.model_parts import base_transformer

# Others leak or fail: MPNet adds a boolean mask to its scores, DeBERTa makes a mask of its own from a padding mask and
# has a convolution, and models with sliding windows, ModernBERT apart, would lose them.
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


def attend_within_documents(model: nn.Module, separator_id: int, causal: bool) -> RemovableHandle:
    """Keeps attention of ``model`` within documents until the handle is removed or its ``with`` block ends.

    The mask is made in each forward pass, on the model's device: batches keep their ``input_ids`` and padding masks,
    ``[batch, length]``. Raises `InputError` as `check_document_attention` does.
    """
    check_document_attention(model)
    base = base_transformer(model)
    assert isinstance(base, PreTrainedModel)

    def with_mask(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        input_ids: Tensor = args[0] if args else kwargs["input_ids"]
        documents = _document_numbers(input_ids, separator_id)
        if (padding_mask := kwargs.get("attention_mask")) is not None:
            assert padding_mask.shape == input_ids.shape, "expected a padding mask, [batch, length]"
            documents = documents * padding_mask.long()  # padding is document 0
        mask = _same_document(documents, causal)
        return args, {**kwargs, "attention_mask": _as_needed(mask, base.config, base.dtype)}

    return base.register_forward_pre_hook(with_mask, with_kwargs=True)


def check_document_attention(model: nn.Module) -> None:
    """Raises `InputError` where attention cannot be kept within documents."""
    base = base_transformer(model)
    model_type = base.config.model_type if isinstance(base, PreTrainedModel) else type(base).__name__
    if not isinstance(base, PreTrainedModel) or model_type not in SUPPORTED:
        raise InputError(
            f"attention cannot be kept within documents in a model of type {model_type}: it can in "
            f"{', '.join(SUPPORTED)}. Choose one of these, or let documents see each other."
        )
    if (implementation := base.config._attn_implementation) not in ("sdpa", "eager"):
        raise InputError(
            f"attention cannot be kept within documents with attn_implementation={implementation!r}: "
            "choose 'sdpa' or 'eager'."
        )


def _document_numbers(input_ids: Tensor, separator_id: int) -> Tensor:
    """``[batch, length]``, 1, 2, … for the documents of each row; a separator belongs to the document that it ends."""
    ends = (input_ids == separator_id).long()
    return 1 + ends.cumsum(dim=1) - ends


def _same_document(documents: Tensor, causal: bool) -> Tensor:
    """``[batch, 1, length, length]``, True where the token of a row may attend to that of a column.

    That is where both are in one document and, if ``causal``, the second is not after the first.
    """
    mask = documents[:, None, :, None] == documents[:, None, None, :]
    return mask.tril_() if causal else mask


def _as_needed(mask: Tensor, config: PretrainedConfig, dtype: torch.dtype) -> Tensor | dict[str, Tensor]:
    """The mask in the form that the model adds or selects by; for ModernBERT one for each type of layer."""
    if config.model_type == "modernbert":
        # A given mask is taken as it is: the window of local layers has to be in it.
        window = config.sliding_window
        masks = {"full_attention": mask, "sliding_attention": mask.tril(window).triu_(-window)}
        return {name: _for_implementation(m, config, dtype) for name, m in masks.items()}
    return _for_implementation(mask, config, dtype)


def _for_implementation(mask: Tensor, config: PretrainedConfig, dtype: torch.dtype) -> Tensor:
    if config._attn_implementation == "sdpa":
        return mask
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, torch.finfo(dtype).min)
