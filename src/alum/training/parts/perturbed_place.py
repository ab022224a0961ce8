"""Places that δ cannot be added to as a method does it: of a model, before training, and of its batches."""

from typing import Any

from torch import nn

from alum.core.errors import InputError
from alum.core.method_settings import Method
from alum.models.inputs import Inputs
from alum.models.model_parts import num_virtual_tokens, pretrained_model

# Their token types are looked up in the table of words, in transformers 5.23.
_TYPES_AMONG_WORDS = frozenset({"codegen", "ctrl", "gpt2", "gpt_bigcode", "gpt_neo", "gptj", "imagegpt", "openai-gpt"})
_ROUTER_LOSSES = ("router_aux_loss_coef", "router_z_loss_coef")


def check_place(method: Method, model: nn.Module) -> None:
    """Raises `InputError` for a model whose vectors at the method's place are not the batch's tokens alone.

    And for one whose task loss comes to the blocks below by another way than through these vectors, where a method
    goes back through them once.
    """
    if method.alpha == 0:
        return
    first = method.layers[0]
    if (count := num_virtual_tokens(model)) and any(layer != "word" for layer in method.layers):
        raise InputError(
            f"the adapter puts {count} virtual tokens before the words of a batch, so that at layer "
            f"{next(layer for layer in method.layers if layer != 'word')!r} there are others than its tokens: choose "
            "the layer 'word'."
        )
    inner = pretrained_model(model)
    config: Any = getattr(inner, "config", None)
    has_router_loss = getattr(config, "output_router_logits", False) and any(
        hasattr(inner, name) for name in _ROUTER_LOSSES
    )
    if has_router_loss and method.has_one_graph and isinstance(first, int) and first > 0:
        raise InputError(
            f"with output_router_logits the loss of {type(inner).__name__} has a part of the routers in the blocks "
            f"below block {first}, whose gradient does not come through the perturbed vectors, through which "
            f"{method.name!r} goes back once. Choose the layer 'word', a method with passes of its own ('alum', "
            "'alum_virtual'), or set output_router_logits to false."
        )


def check_words_are_looked_up(method: Method, model: nn.Module, inputs: Inputs) -> None:
    """Raises `InputError` for a batch whose words are not looked up, or not alone, where their vectors are moved."""
    if method.alpha == 0 or "word" not in method.layers:
        return
    if inputs.get("inputs_embeds") is not None and inputs.get("input_ids") is None:
        raise InputError(
            "the batch has inputs_embeds in the place of input_ids, so that no word is looked up whose vector could be "
            "perturbed: give input_ids, or choose the layer 'embeddings' or a block."
        )
    inner = pretrained_model(model)
    if inputs.get("token_type_ids") is not None and getattr(inner.config, "model_type", "") in _TYPES_AMONG_WORDS:
        raise InputError(
            f"{type(inner).__name__} looks token_type_ids up in the table of words, so that a perturbation of words "
            "would be one of token types too: leave them out of the batch, or choose the layer 'embeddings' or a block."
        )
