"""Choice of the passes that go through a model's wrapper: DDP, which averages gradients, or a compiled module."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from alum.core.errors import InputError
from alum.core.method_settings import Method


class Passes:
    """Modules that the adversarial passes of one step call, in turn: ``wrapper``, or ``model`` inside it.

    The pass whose backward pass ends the step goes through the wrapper, which then averages all gradients, and no other
    pass does after it. Where two graphs are alive that is the clean pass. Where one is, it is the first one after the
    clean pass, which must not average (``no_sync``): that over the changed text, where there is one, else the
    adversarial pass. Ascent and measurement, whose backward passes reach no weight, go around the wrapper. One that
    only compiles has nothing to average, and all passes go through it: compiled code draws its dropout masks in its own
    way.
    """

    def __init__(self, wrapper: nn.Module, model: nn.Module, method: Method) -> None:
        self._model = model
        self._others = wrapper if getattr(wrapper, "_orig_mod", None) is model else model
        self._last = iter([wrapper] if method.has_one_graph else [])

    def next(self) -> nn.Module:
        trains = torch.is_grad_enabled() and any(weight.requires_grad for weight in self._model.parameters())
        return next(self._last, self._others) if trains else self._others


@contextmanager
def outputs_before_wrapper(model: nn.Module) -> Iterator[Callable[[], Any]]:
    """Outputs of the call of ``model`` that its wrapper makes in the ``with`` block, of which the wrapper gets aliases.

    DeepSpeed's engine takes each gradient of what a pass through it returns for the step's backward pass, and averages
    weights after it. The gradient that δ follows is of these outputs, which it does not see.
    """
    found: list[Any] = []

    def keep(module: nn.Module, args: Any, outputs: Any) -> Any:
        found.append(outputs)
        return tree_map_only(Tensor, lambda tensor: tensor.view_as(tensor), outputs)

    handle = model.register_forward_hook(keep)
    try:
        yield lambda: _only(found, model)
    finally:
        handle.remove()


def _only(found: list[Any], model: nn.Module) -> Any:
    if len(found) != 1:
        raise InputError(
            f"with DeepSpeed a loss calls {type(model).__name__} exactly once in a step, but this one called it "
            f"{len(found)} times. Choose such a loss, or train with DDP."
        )
    return found[0]
