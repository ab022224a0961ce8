"""Exponential moving average of a model's weights, which passes can be run with, saved and read as safetensors."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.func import functional_call

from alum.core.errors import InputError


class AveragedWeights:
    """Average in fp32 of the weights of ``model`` that are trained; it begins as they are now."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._values: dict[str, Tensor] = {}
        self.follow(0.0)

    @torch.no_grad()
    def follow(self, momentum: float) -> None:
        """Moves the average to the present weights: β·θ̃ + (1 - β)·θ; what was not trained before joins as it is."""
        for name, weight in self._trained():
            if name in self._values:
                self._values[name].lerp_(weight.float(), 1.0 - momentum)
            else:
                self._values[name] = weight.detach().float().clone()
        self._followed = self._version()

    def lags_behind(self) -> bool:
        """Whether the weights have changed in place since the average last followed them."""
        return self._followed != self._version()

    def __call__(self, *arguments: Any, **inputs: Any) -> Any:
        """Runs the model with the averaged weights in the place of its own."""
        dtypes = {name: weight.dtype for name, weight in self._model.named_parameters()}
        values = {name: value.to(dtypes[name]) for name, value in self._values.items()}
        return functional_call(self._model, values, arguments, inputs)

    def save(self, path: Path) -> None:
        save_file(self._values, path)

    def load(self, path: Path) -> None:
        """Takes the average from a file; raises `InputError` where it is damaged or of another model."""
        try:
            values = load_file(path, device=str(next(self._model.parameters()).device))
        except (SafetensorError, OSError) as error:
            raise InputError(f"{path} cannot be read as averaged weights: {error}. Resume from another one.") from None
        expected = {name: weight.shape for name, weight in self._model.named_parameters()}
        for name, value in values.items():
            if expected.get(name) != value.shape:
                raise InputError(
                    f"{path} has averaged weights {name} {list(value.shape)}, which do not fit this model. Resume with "
                    "the model that they were saved with."
                )
        self._values |= values
        self._followed = self._version()

    def _trained(self) -> list[tuple[str, nn.Parameter]]:
        return [(name, weight) for name, weight in self._model.named_parameters() if weight.requires_grad]

    def _version(self) -> int:
        return sum(weight._version for _, weight in self._trained())
