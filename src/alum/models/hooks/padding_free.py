"""Passes without padding: a model's layers see the tokens of a padded batch alone, as one row.

Batch, labels and head stay as they are. A hook on the model without its head puts the tokens of the batch together
before the embeddings, each at the position that it has in the padded batch, and another sets the last hidden states
apart again, with 0 at padding, before poolers and heads see them.

What a model says and loses is that of padded rows, but for question answering: there padding takes part in the models'
own loss, as an answer that is to be unlearnt, and here it is none, so that a row's loss does not depend on its batch.
"""

import inspect
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from alum.core.errors import InputError
from alum.models.compilation import not_compiled
from alum.models.hooks.last_tensor import OfLastTensor
from alum.models.hooks.packed_rows import PackedRows
from alum.models.hooks.sequence_attention import CAUSAL, NAME, by_type_of_layer, check_sequence_attention
from alum.models.inputs import Inputs
from alum.models.model_parts import base_transformer, num_virtual_tokens, pretrained_model

_OF_TOKENS = ("input_ids", "token_type_ids", "position_ids", "inputs_embeds")
_ATTRIBUTE = "_alum_padding_free"
"""Attribute of a model without its head that runs without padding: what does it."""
_BEFORE_POOLER = "encoder"
"""Submodule that gives the last hidden states, in models that have a pooler behind it."""


class PaddingFree:
    """Runs ``model`` without padding, in all its passes until `remove` is called.

    >>> padding_free = PaddingFree(model)  # doctest: +SKIP
    >>> AlumStep(model)(batch)  # doctest: +SKIP

    Raises `InputError` for architectures that are not known to give the same outputs this way. A batch without an
    attention mask or padding runs as it is, and so does a pass with a cache of keys and values, which generation has. A
    pass raises it for attention masks that are not ``[batch, length]``, and for padding on the left of encoders.
    """

    def __init__(self, model: nn.Module) -> None:
        check_padding_free(model)
        base = base_transformer(model)
        assert isinstance(base, PreTrainedModel)
        self._base, self._former = base, base.config._attn_implementation
        self._is_causal = base.config.model_type in CAUSAL or getattr(base.config, "is_decoder", False)
        self._packed: PackedRows | None = None
        self._rows_of = OfLastTensor(self._found_rows)  # the passes of a step have the same mask
        base.set_attn_implementation(NAME)
        last = getattr(base, _BEFORE_POOLER, base)
        self._parameters = tuple(inspect.signature(base.forward).parameters)
        setattr(base, _ATTRIBUTE, self)
        self._handles = (
            base.register_forward_pre_hook(self._put_together, with_kwargs=True),
            last.register_forward_hook(self._set_apart),
            *(head.register_forward_hook(self._no_answer_at_padding) for head in _heads_of_spans(model)),
        )

    def remove(self) -> None:
        """Has the model run with padding again, by the attention that it had."""
        for handle in self._handles:
            handle.remove()
        self._base.set_attn_implementation(self._former)
        delattr(self._base, _ATTRIBUTE)

    def rows(self, inputs: Inputs) -> PackedRows | None:
        """Finds where the tokens of a batch stand in its passes; None where these run as the batch is."""
        mask: Tensor | None = inputs.get("attention_mask")
        return None if mask is None else self._rows_of(mask.flatten(0, -2))  # in multiple choice each choice is a row

    def _found_rows(self, mask: Tensor) -> PackedRows | None:
        if mask.dim() != 2:
            raise InputError(f"padding_free needs attention masks [batch, length], not {list(mask.shape)}.")
        if mask.all():
            return None
        if not (self._is_causal or mask[:, 0].all()):
            raise InputError(
                "padding_free needs padding on the right: heads read the first token of a row. Set the tokenizer's "
                "padding_side to 'right', or leave padding_free out."
            )
        return PackedRows.of_mask(mask)

    @not_compiled
    def _put_together(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = {**dict(zip(self._parameters, args, strict=False)), **kwargs}
        mask: Tensor | None = given.get("attention_mask")
        has_cache = given.get("past_key_values") is not None
        self._packed = None if mask is None or has_cache else self._rows_of(mask)
        if self._packed is None:
            return args, kwargs
        assert mask is not None
        given["position_ids"] = self._positions(given, mask)
        for name in _OF_TOKENS:
            if (values := given.get(name)) is not None:
                given[name] = self._packed.together(values)
        given["attention_mask"] = by_type_of_layer(self._base, self._packed.table[None, None])
        if "use_cache" in self._parameters:  # keys and values would be those of one row
            given["use_cache"] = False
        return (), given

    def _positions(self, given: dict[str, Any], mask: Tensor) -> Tensor:
        """Positions ``[batch, length]`` that the model would give the tokens of the padded batch."""
        positions: Tensor | None = given.get("position_ids")
        if positions is None:
            embeddings: Any = getattr(self._base, "embeddings", None)
            if not hasattr(embeddings, "create_position_ids_from_input_ids"):
                positions = torch.arange(mask.shape[1], device=mask.device)[None]
            elif (ids := given.get("input_ids")) is not None:  # RoBERTa's begin behind the padding token's number
                positions = embeddings.create_position_ids_from_input_ids(ids, embeddings.padding_idx)
            else:
                vectors = given["inputs_embeds"]
                positions = embeddings.create_position_ids_from_inputs_embeds(vectors, embeddings.padding_idx)
        return positions.expand(mask.shape)

    @not_compiled
    def _set_apart(self, module: nn.Module, args: Any, output: Any) -> Any:
        if self._packed is None:
            return output
        hidden = self._packed.apart(output[0])
        if isinstance(output, tuple):
            return (hidden, *output[1:])
        output["last_hidden_state"] = hidden
        return output

    @not_compiled
    def _no_answer_at_padding(self, module: nn.Module, args: Any, logits: Tensor) -> Tensor:
        if self._packed is None:
            return logits
        return logits.masked_fill(~self._packed.mask.unsqueeze(-1), torch.finfo(logits.dtype).min)


def _heads_of_spans(model: nn.Module) -> list[nn.Module]:
    """The layer that gives each token the logits of an answer's beginning and end, in models for question answering."""
    model = pretrained_model(model)
    if not type(model).__name__.endswith("ForQuestionAnswering"):
        return []
    return [head for name in ("qa_outputs", "classifier") if (head := getattr(model, name, None)) is not None]


def rows_without_padding(model: nn.Module, inputs: Inputs) -> PackedRows | None:
    """Finds where the tokens of a padded batch stand in the passes of a model; None where as they do in the batch."""
    running: PaddingFree | None = getattr(base_transformer(model), _ATTRIBUTE, None)
    return None if running is None else running.rows(inputs)


def check_padding_free(model: nn.Module) -> None:
    """Raises `InputError` where a model cannot run without padding."""
    base = check_sequence_attention(model, "padding cannot be left out (padding_free)")
    if getattr(base, _ATTRIBUTE, None) is not None:
        raise InputError(f"{type(base).__name__} runs without padding already: call remove() first.")
    if num_virtual_tokens(model):
        raise InputError("padding cannot be left out (padding_free) beside the virtual tokens of prompt tuning.")
    if base.config.output_hidden_states:
        raise InputError("padding_free gives the last hidden states alone: leave output_hidden_states out.")
