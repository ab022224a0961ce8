"""Finding the parts of a Hugging Face model that a perturbation needs: embeddings, blocks, base model."""

from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from alum.core.errors import InputError, SettingError
from alum.core.method_settings import Layer, Layers

CHECKPOINTING = (
    "activation_checkpointing"
    if hasattr(PreTrainedModel, "activation_checkpointing_enable")
    else "gradient_checkpointing"
)
"""Setting of training by which blocks run again in the backward pass, and the stem of its methods of models:
transformers before 5.23 has the second name, newer ones deprecate it."""


def pretrained_model(model: nn.Module) -> nn.Module:
    """Unwraps the ``transformers`` model in DDP and `torch.compile` (``module``, ``_orig_mod``), in peft and in
    sentence-transformers (``transformers_model``)."""
    while True:
        if callable(unwrap := getattr(model, "get_base_model", None)):
            model = unwrap()
            continue
        inner = [
            m
            for name in ("module", "_orig_mod", "transformers_model")
            if isinstance(m := getattr(model, name, None), nn.Module)
        ]
        if not inner:
            return model
        model = inner[0]


_LENGTH_FIRST = ("xlnet",)


def base_transformer(model: nn.Module) -> nn.Module:
    """Returns the model without its head: its output is the last hidden state of every position."""
    model = pretrained_model(model)
    return model.base_model if isinstance(model, PreTrainedModel) else model


def word_embeddings(model: nn.Module) -> nn.Module:
    """Finds the module that maps ``input_ids`` to vectors in the forward pass; the encoder's in an encoder-decoder.

    Encoder-decoder models tie the weights of three embedding modules, and the model's own ``get_input_embeddings()``
    is the one that never runs.
    """
    stack = _input_stack(model)
    try:
        embeddings = stack.get_input_embeddings() if isinstance(stack, PreTrainedModel) else None
    except NotImplementedError:
        embeddings = None
    if embeddings is None:
        raise InputError(
            f"{type(model).__name__} has no input embeddings to perturb: expected a transformers text model whose "
            "get_input_embeddings() returns a module. For another torch module give the module to perturb itself."
        )
    return _as_saved(embeddings, stack)


def _as_saved(module: nn.Module, stack: nn.Module) -> nn.Module:
    """Finds the module that runs in the place of one in a module that peft trains a copy of (``modules_to_save``)."""
    path = next((name for name, found in stack.named_modules() if found is module), "")
    at = stack
    for part in path.split(".") if path else ():
        copies, active = getattr(at, "modules_to_save", None), getattr(at, "active_adapter", None)
        if isinstance(copies, nn.ModuleDict) and part != "modules_to_save" and str(active) in copies:
            at = copies[str(active)]
        if part != "original_module":
            at = at.get_submodule(part)
    return at if path else module


def num_virtual_tokens(model: nn.Module) -> int:
    """Number of vectors that an adapter of peft puts before those of the words, in each row: in prompt tuning."""
    config = getattr(model, "active_peft_config", None)
    if config is None or not config.is_prompt_learning or config.peft_type == "PREFIX_TUNING":
        return 0  # prefixes stand in the cache of keys and values
    return int(config.num_virtual_tokens)


def output_embeddings(model: nn.Module) -> nn.Module:
    """Finds the module that multiplies hidden vectors with the tokens' output embeddings, ``[vocabulary, hidden]``.

    Raises `InputError` where there is none.
    """
    inner = pretrained_model(model)
    module = inner.get_output_embeddings() if isinstance(inner, PreTrainedModel) else None
    weight = getattr(module, "weight", None)
    if not isinstance(module, nn.Module) or not isinstance(weight, Tensor) or weight.dim() != 2:
        raise InputError(
            f"{type(inner).__name__} has no output embeddings to perturb: expected a transformers language model whose "
            "get_output_embeddings() returns a module with a weight for each token. Choose a method that perturbs the "
            "input, such as 'alum_one_pass'."
        )
    return module


def embeddings_module(model: nn.Module) -> nn.Module | None:
    """Finds the module that joins word, position and type embeddings; None where there is none (GPT-2, T5)."""
    module = getattr(_input_stack(model), "embeddings", None)
    return module if isinstance(module, nn.Module) else None


def block(model: nn.Module, index: int) -> tuple[list[nn.Module], nn.Module, list[nn.Module]]:
    """Finds transformer block number ``index``, counted from 0: returns the blocks before it, it, and those after it.

    Raises `InputError` where the architecture has no such block or, like ALBERT, uses one module for all of them.
    """
    stack = _input_stack(model)
    config = getattr(stack, "config", None)
    name = type(pretrained_model(model)).__name__
    _refuse_shared_block(config, index, name)
    depth = getattr(config, "num_hidden_layers", None)
    owners = (module for module in stack.modules() if _lists_in(module, depth))
    lists = next((_lists_in(owner, depth) for owner in owners), {})
    if len(lists) > 1:
        raise InputError(
            f"{name} keeps its blocks in parts ({', '.join(lists)}), so that the input of one is no place in it. "
            "Choose the layer 'word' or 'embeddings'."
        )
    blocks = [module for found in lists.values() for module in found]
    if not blocks or any(isinstance(module, nn.ModuleList) for module in blocks):
        raise InputError(f"no list of transformer blocks found in {name}. Choose the layer 'word' or 'embeddings'.")
    check_block_number(index, len(blocks), name)
    if getattr(blocks[index], "gradient_checkpointing", False):
        raise InputError(
            "gradient checkpointing runs each block again in the backward pass, without the perturbation at a block's "
            "input. Choose the layer 'word' or 'embeddings', or turn gradient checkpointing off."
        )
    return blocks[:index], blocks[index], blocks[index + 1 :]


def _lists_in(module: nn.Module, depth: int | None) -> dict[str, nn.ModuleList]:
    """Lists of ``depth`` modules that a module holds itself, by name."""
    return {
        name: found
        for name, found in module.named_children()
        if isinstance(found, nn.ModuleList) and len(found) == depth
    }


def check_layer(layer: Layers, config: PretrainedConfig, name: str) -> None:
    """Raises `InputError` where a model of this configuration, which need not be loaded, has no such layer."""
    config = config.get_text_config()
    for block in layer if isinstance(layer, tuple) else (layer,):
        if isinstance(block, int):
            _refuse_shared_block(config, block, name)
            depth = getattr(config, "num_hidden_layers", None)
            if isinstance(depth, int):
                check_block_number(block, depth, name)


def check_block_number(index: int, num_blocks: int, name: str) -> None:
    if not 0 <= index < num_blocks:
        raise InputError(f"{name} has blocks 0 to {num_blocks - 1}: there is no layer {index}.")


def _refuse_shared_block(config: PretrainedConfig | None, index: int, name: str) -> None:
    if hasattr(config, "num_hidden_groups"):
        raise InputError(
            f"{name} uses one block over and over, so 'the input of block {index}' is not a place in it. "
            "Choose the layer 'word' or 'embeddings'."
        )


def parse_layer(text: str | int) -> Layers:
    """Reads a layer from a flag: ``"word"``, ``"embeddings"``, a block's number, or several of them, ``"word,4"``.

    >>> parse_layer("word"), parse_layer("3"), parse_layer("word,4")
    ('word', 3, ('word', 4))
    """
    parts = [part.strip() for part in str(text).split(",")]
    if not all(part in ("word", "embeddings") or part.isdigit() for part in parts):
        raise SettingError(
            "layer",
            "must be 'word', 'embeddings' or the number of a block (0, 1, …), or several of them as 'word,4', not "
            f"{text!r}.",
        )
    layers: tuple[Layer, ...] = tuple(int(part) if part.isdigit() else part for part in parts)  # type: ignore[misc]
    return layers if len(layers) > 1 else layers[0]


def _input_stack(model: nn.Module) -> nn.Module:
    model = pretrained_model(model)
    if getattr(getattr(model, "config", None), "model_type", None) in _LENGTH_FIRST:
        raise InputError(
            f"{type(model).__name__} has its vectors as [length, batch, hidden]: a perturbation would go to other "
            "places than words. Choose another architecture."
        )
    if not isinstance(model, PreTrainedModel):
        return model
    return model.get_encoder() if getattr(model.config, "is_encoder_decoder", False) else model.base_model
