"""Adding δ inside a model by forward hooks, never through ``inputs_embeds``.

Models recompute positions from ``input_ids``, and some apply position embeddings and LayerNorm again to what comes in
as ``inputs_embeds``; a hook on the module changes its output and nothing else.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from alum.core.errors import InputError
from alum.core.methods import Layer
from alum.models.architecture import block, embeddings_module, word_embeddings


def _nothing() -> None:
    pass


class Injection:
    """A place in ``model`` where clean passes are recorded and δ is added in adversarial ones.

    ``layer`` is ``"word"``, ``"embeddings"``, a block's number (δ goes to its input and the blocks below are not run
    again), or any module of a model that ``transformers`` does not know (δ goes to its output).
    """

    def __init__(self, model: nn.Module, layer: Layer | nn.Module = "word") -> None:
        self._skipped: list[nn.Module] = []
        self._at_input = False
        if isinstance(layer, nn.Module):
            self._module = layer
        elif layer == "word":
            self._module = word_embeddings(model)
        elif layer == "embeddings" and (module := embeddings_module(model)) is not None:
            self._module = module
        else:
            self._module, self._skipped = block(model, 0 if layer == "embeddings" else int(layer))
            self._at_input = True
        self._clean: Tensor | None = None
        self._skipped_output: Any = None

    @contextmanager
    def recording(self, on_reaching: Callable[[], None] = _nothing) -> Iterator[Callable[[], Tensor]]:
        """A clean pass. Yields a function that returns x, ``[batch, length, hidden]``, once the pass has been run.

        A backward pass fills ``x.grad``, even where the embeddings are frozen. ``on_reaching`` is called when the pass
        reaches the place.
        """

        def record(x: Tensor) -> Tensor:
            on_reaching()
            if torch.is_grad_enabled():
                if not x.requires_grad:
                    x.requires_grad_()
                x.retain_grad()
            self._clean = x
            return x

        def keep_output(module: nn.Module, inputs: Any, output: Any) -> None:
            self._skipped_output = output

        with ExitStack() as stack:
            stack.enter_context(self._changing(record))
            if self._skipped:
                stack.callback(self._skipped[0].register_forward_hook(keep_output).remove)
            yield self._recorded

    @contextmanager
    def adding(self, delta: Tensor, on_reaching: Callable[[], None] = _nothing) -> Iterator[None]:
        """An adversarial pass: what comes out of the place is x + δ, added in fp32."""

        def add(x: Tensor) -> Tensor:
            on_reaching()
            if self._skipped:
                x = self._recorded()
            if x.shape != delta.shape:
                raise InputError(f"the perturbation is {list(delta.shape)}, but the vectors here are {list(x.shape)}.")
            return (x.float() + delta).to(x.dtype)

        with ExitStack() as stack:
            for lower in self._skipped:
                stack.enter_context(_answering(lower, self._skipped_output))
            stack.enter_context(self._changing(add))
            yield

    def forget_graph(self) -> None:
        """Keep the values of the recorded pass without its graph, which a backward pass has freed."""
        self._clean = None if self._clean is None else self._clean.detach()
        self._skipped_output = _detached(self._skipped_output)

    def _recorded(self) -> Tensor:
        assert self._clean is not None, "no clean pass was recorded"
        return self._clean

    @contextmanager
    def _changing(self, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
        calls = 0

        def count() -> None:
            nonlocal calls
            calls += 1
            if calls > 1:
                raise self._misfired("more than once")

        def on_output(module: nn.Module, inputs: Any, output: Any) -> Any:
            count()
            return change(output)

        def on_input(module: nn.Module, args: Any, kwargs: Any) -> Any:
            count()
            if args:
                return (change(args[0]), *args[1:]), kwargs
            return args, {**kwargs, "hidden_states": change(kwargs["hidden_states"])}

        if self._at_input:
            handle = self._module.register_forward_pre_hook(on_input, with_kwargs=True)
        else:
            handle = self._module.register_forward_hook(on_output)
        try:
            yield
        finally:
            handle.remove()
        if calls == 0:
            raise self._misfired("never")

    def _misfired(self, times: str) -> InputError:
        return InputError(
            f"the perturbed module {type(self._module).__name__} must run exactly once in a forward pass, but it ran "
            f"{times}: the perturbation would be lost or doubled. Choose another layer."
        )


@contextmanager
def _answering(module: nn.Module, output: Any) -> Iterator[None]:
    """The module returns ``output`` without computing anything."""
    patched = module.__dict__.get("forward")  # kernels and device hooks replace it on the instance
    module.forward = lambda *args, **kwargs: output
    try:
        yield
    finally:
        del module.forward
        if patched is not None:
            module.forward = patched


def _detached(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, tuple | list):
        return type(value)(_detached(item) for item in value)
    return value
