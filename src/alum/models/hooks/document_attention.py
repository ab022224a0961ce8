"""Attention that stays within a document, for sequences that hold several.

Documents follow each other in a row, each ended by a separator ([SEP], ``</s>``, ``<|endoftext|>``). Rows are cut from
a longer stream, so they may begin and end inside a document; what a row begins with ([CLS]) belongs to its first.
Position ids run on through the row: since rows are cut anywhere, every position is met by every part of a document, and
position embeddings stay trained to the full length.

Each document is attended to by itself (`alum.models.hooks.sequence_attention`) where that is less work than whole rows
with a mask are: where documents are short beside the rows, and not of very different lengths.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from alum.models.hooks.packed_rows import PackedRows
from alum.models.hooks.sequence_attention import NAME, by_type_of_layer, check_sequence_attention


class AttentionWithinDocuments:
    """Keeps attention of ``model`` within documents until `remove` is called or its ``with`` block ends.

    Documents are found in each forward pass, on the model's device: batches keep their ``input_ids`` and padding masks,
    ``[batch, length]``. Raises `InputError` where the model's attention cannot be kept within them.
    """

    def __init__(self, model: nn.Module, separator_id: int, causal: bool) -> None:
        self._base = check_sequence_attention(model, "attention cannot be kept within documents")
        self._former = self._base.config._attn_implementation
        self._separator_id, self._causal = separator_id, causal
        self._base.set_attn_implementation(NAME)
        self._handle = self._base.register_forward_pre_hook(self._with_documents, with_kwargs=True)

    def __enter__(self) -> "AttentionWithinDocuments":
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Has the model attend to whole rows again."""
        self._handle.remove()
        self._base.set_attn_implementation(self._former)

    def _with_documents(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        input_ids: Tensor = args[0] if args else kwargs["input_ids"]
        documents = _document_numbers(input_ids, self._separator_id)
        if (padding_mask := kwargs.get("attention_mask")) is not None:
            assert padding_mask.shape == input_ids.shape, "expected a padding mask, [batch, length]"
            documents = documents * padding_mask.long()  # padding is document 0
        return args, {**kwargs, "attention_mask": self._as_attention_mask(documents)}

    def _as_attention_mask(self, documents: Tensor) -> Tensor | dict[str, Tensor]:
        if not torch.compiler.is_compiling():  # which would compile for each number of documents anew
            packed = PackedRows.of_documents(documents)
            if packed.mask.numel() * packed.mask.shape[1] <= documents.numel() * documents.shape[1]:
                return by_type_of_layer(self._base, packed.table[None, None])
        mask = _same_document(documents, self._causal)
        return _with_window(mask, self._base)


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


def _with_window(mask: Tensor, base: PreTrainedModel) -> Tensor | dict[str, Tensor]:
    """The mask for each type of layer: a given one is taken as it is, so the window of local layers has to be in it."""
    if base.config.model_type != "modernbert":
        return mask
    window = base.config.sliding_window
    return {"full_attention": mask, "sliding_attention": mask.tril(window).triu_(-window)}
