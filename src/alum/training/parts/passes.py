"""Choice of the passes that go through a model's wrapper: DDP, which averages gradients, or a compiled module."""

import torch
from torch import nn

from alum.core.methods import Method


class Passes:
    """Modules that the adversarial passes of one step call, in turn: ``wrapper``, or ``model`` inside it.

    The pass whose backward pass ends the step goes through the wrapper, which then averages all gradients, and no other
    pass does after it. Where two graphs are alive that is the clean pass. Where one is, it is the adversarial pass,
    and the clean pass before it must not average (``no_sync``). Ascent and measurement, whose backward passes reach no
    weight, go around the wrapper. One that only compiles has nothing to average, and all passes go through it: compiled
    code draws its dropout masks in its own way.
    """

    def __init__(self, wrapper: nn.Module, model: nn.Module, method: Method) -> None:
        self._model = model
        self._others = wrapper if getattr(wrapper, "_orig_mod", None) is model else model
        self._last = iter([wrapper] if method.has_one_graph else [])

    def next(self) -> nn.Module:
        trains = torch.is_grad_enabled() and any(weight.requires_grad for weight in self._model.parameters())
        return next(self._last, self._others) if trains else self._others
