"""One place in a model: the output of a module, or the input of a block."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from alum.core.errors import InputError
from alum.core.method_settings import Layer
from alum.models.compilation import not_compiled
from alum.models.model_parts import block, embeddings_module, word_embeddings

_HIDDEN = "hidden_states"  # a block's input, where it is not its first positional argument


class PlaceInModel:
    """Hidden vectors in ``model`` at ``layer``, as `alum.models.hooks.injection.Injection` names it.

    ``below`` are the modules that compute them, the first of which runs first; ``above`` the blocks that come later.
    """

    def __init__(self, model: nn.Module, layer: Layer | nn.Module) -> None:
        self.below: list[nn.Module] = []
        self.above: list[nn.Module] = []
        self.at_input = False
        if isinstance(layer, nn.Module):
            self.module = layer
        elif layer == "word":
            self.module = word_embeddings(model)
        elif layer == "embeddings" and (module := embeddings_module(model)) is not None:
            self.module = module
        else:
            self.below, self.module, self.above = block(model, 0 if layer == "embeddings" else int(layer))
            self.at_input = True
        if not self.at_input:
            self.below = [self.module]

    @contextmanager
    def changing(self, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
        """Has the hidden vectors replaced in the pass inside; raises `InputError` unless that comes by exactly once."""
        calls = 0
        with_graph = torch.is_grad_enabled()

        def counts() -> bool:
            """Whether a pass is this one, and not one beside it without gradients (of a reference that is frozen)."""
            nonlocal calls
            if torch.is_grad_enabled() != with_graph:
                return False
            calls += 1
            if calls > 1:
                raise self._misfired("more than once")
            return True

        @not_compiled
        def on_output(module: nn.Module, inputs: Any, output: Any) -> Any:
            if not counts():
                return output
            if not isinstance(output, Tensor):
                raise InputError(
                    f"{type(module).__name__} gives a {type(output).__name__}, not hidden vectors to perturb. Choose "
                    "another layer or model."
                )
            return change(output)

        @not_compiled
        def on_input(module: nn.Module, args: Any, kwargs: Any) -> Any:
            if not counts():
                return args, kwargs
            if args:
                return (change(args[0]), *args[1:]), kwargs
            return args, {**kwargs, _HIDDEN: change(kwargs[_HIDDEN])}

        if self.at_input:
            handle = self.module.register_forward_pre_hook(on_input, with_kwargs=True)
        else:
            handle = self.module.register_forward_hook(on_output)
        try:
            yield
        finally:
            handle.remove()
        if calls == 0:
            raise self._misfired("never")

    def _misfired(self, times: str) -> InputError:
        return InputError(
            f"the perturbed module {type(self.module).__name__} must run exactly once in a forward pass, but it ran "
            f"{times}: the perturbation would be lost or doubled. Choose another layer, or a loss that runs the model "
            "once on a batch."
        )


@contextmanager
def changing_other_inputs(module: nn.Module, change: Callable[[Any], Any]) -> Iterator[None]:
    """Has all inputs of a block changed but the hidden states, which come first or by their name."""

    @not_compiled
    def on_inputs(_: nn.Module, args: Any, kwargs: Any) -> Any:
        others = {name: value if name == _HIDDEN else change(value) for name, value in kwargs.items()}
        return (*args[:1], *map(change, args[1:])), others

    handle = module.register_forward_pre_hook(on_inputs, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def answering(module: nn.Module, output: Any) -> Iterator[None]:
    """Has a module return ``output`` without computing anything."""
    patched = module.__dict__.get("forward")  # kernels and device hooks replace it on the instance
    module.forward = lambda *args, **kwargs: output
    try:
        yield
    finally:
        del module.forward
        if patched is not None:
            module.forward = patched
