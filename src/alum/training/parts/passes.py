"""Choice of the passes that go through a model's wrapper: DDP, which averages gradients, or a compiled module."""

import torch
from torch import nn

from alum.core.methods import Method


class Passes:
    """Modules that the adversarial passes of one step call, in turn: ``wrapper``, or ``model`` inside it.

    The pass whose backward pass ends the step goes through the wrapper, which then averages all gradients, and no other
    pass does after it. Where two graphs are alive that is the clean pass. Where one is, it is the adversarial pass,
    and the clean pass before it must not average (``no_sync``). Ascent and measurement go around the wrapper. One that
    only compiles has nothing to average, and all passes go through it: compiled code draws its dropout masks in its
    own way.
    """

    def __init__(self, wrapper: nn.Module, model: nn.Module, method: Method) -> None:
        self._others = wrapper if getattr(wrapper, "_orig_mod", None) is model else model
        own_passes = [self._others] * method.num_own_passes
        self._in_turn = iter([*own_passes, wrapper] if method.has_one_graph else [])

    def next(self) -> nn.Module:
        return next(self._in_turn, self._others) if torch.is_grad_enabled() else self._others
