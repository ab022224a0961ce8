"""Choice of the passes that go through a model's wrapper: DDP, which averages gradients, or a compiled module."""

import torch
from torch import nn


class Passes:
    """Modules that the adversarial passes of one step call, in turn: ``wrapper``, or ``model`` inside it.

    The pass whose backward pass ends the step goes through the wrapper, which then averages all gradients, and no other
    pass does after it. In joint methods that is the clean pass. In one-pass methods it is the adversarial pass, and the
    clean pass before it must not average (``no_sync``). Ascent and measurement go around the wrapper. One that only
    compiles has nothing to average, and all passes go through it: compiled code draws its dropout masks in its own way.
    """

    def __init__(self, wrapper: nn.Module, model: nn.Module, one_pass: bool) -> None:
        self._others = wrapper if getattr(wrapper, "_orig_mod", None) is model else model
        self._ends_step = iter([wrapper] if one_pass else [])

    def next(self) -> nn.Module:
        return next(self._ends_step, self._others) if torch.is_grad_enabled() else self._others
