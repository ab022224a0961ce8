"""A model and its tokenizer that a caller holds in memory, in the place of a checkpoint, and left as they were."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from alum.core.errors import InputError
from alum.models.checkpoint import input_length_tokens, label_names_in
from alum.models.model_parts import pretrained_model


@dataclass(frozen=True)
class ModelInMemory:
    """Model and tokenizer that a caller holds, in the place of a `Checkpoint`: used where they are, on their device."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @classmethod
    def of(cls, model: nn.Module, tokenizer: Any) -> "ModelInMemory":
        """Checks both; raises `InputError` for anything but a ``transformers`` model and a tokenizer.

        The tokenizer is copied, since it keeps how it was called last. DDP and `torch.compile` are taken off the model,
        adapters of peft are not.
        """
        inner = pretrained_model(model)
        if not isinstance(inner, PreTrainedModel):
            raise InputError(
                f"expected a transformers model, its path, or a function from texts to probabilities, not "
                f"{type(model).__name__}: of another model give a function that calls it."
            )
        if not isinstance(tokenizer, PreTrainedTokenizerBase):
            raise InputError(
                f"a model in memory needs its tokenizer, as AutoTokenizer.from_pretrained loads it, not "
                f"{type(tokenizer).__name__}."
            )
        adapted = _adapted(model)
        return cls(inner if adapted is None else adapted, copy.deepcopy(tokenizer))

    @property
    def name_or_path(self) -> str:
        return f"{type(pretrained_model(self.model)).__name__} in memory"

    @property
    def config(self) -> PretrainedConfig:
        config: PretrainedConfig = self.model.config
        return config

    @property
    def label_names(self) -> tuple[str, ...]:
        return label_names_in(self.config)

    def trained_model(self, auto_class: Any) -> PreTrainedModel:
        """Returns the model itself: what it was made for and whether it was trained is its owner's to know."""
        return self.model

    def input_length_tokens(self, asked: int | None, default: int) -> int:
        """Longest input for the model, as `Checkpoint.input_length_tokens` says."""
        return input_length_tokens(self.config, self.name_or_path, asked, default)


def _adapted(model: nn.Module) -> Any:
    """Finds the model of peft around a ``transformers`` model, which adds what it has trained to each pass."""
    while not isinstance(model, PreTrainedModel):
        if callable(getattr(model, "get_base_model", None)):
            return model
        inner = getattr(model, "module", None) or getattr(model, "_orig_mod", None)
        if inner is None:
            return None
        model = inner
    return None


@contextmanager
def left_as_it_was(model: nn.Module) -> Iterator[None]:
    """Gives each module back its mode, training or evaluation, and each parameter its gradient, at the end."""
    modes = [(module, module.training) for module in model.modules()]
    gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
    for parameter, _ in gradients:
        parameter.grad = None
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter, gradient in gradients:
            parameter.grad = gradient
