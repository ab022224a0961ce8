"""Adding a perturbation δ inside a model by forward hooks, never through ``inputs_embeds``.

Models recompute positions from ``input_ids``, and some apply position embeddings and LayerNorm again to what comes in
as ``inputs_embeds``; a hook on the module changes its output and nothing else.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor, nn

from alum.core.errors import InputError
from alum.core.methods import Layer
from alum.models.compilation import not_compiled
from alum.models.hooks.graph_cut import GraphCut
from alum.models.hooks.packed_rows import PackedRows
from alum.models.model_parts import block, embeddings_module, word_embeddings

_HIDDEN = "hidden_states"  # a block's input, where it is not its first positional argument


def _nothing() -> None:
    pass


class Injection:
    """A place in ``model`` where clean passes record the hidden vectors x and adversarial passes add δ to them.

    ``layer`` is ``"word"``, ``"embeddings"``, a block's number (δ goes to its input), or any module of a model that
    ``transformers`` does not know (δ goes to its output). After a clean pass was recorded, adversarial ones on the same
    batch add δ to the very same x: the modules that compute it do not run again. Without a recorded pass they do.

    Where rows hold several sequences (``packed``), x and δ are ``[sequences, longest, hidden]``.
    """

    def __init__(self, model: nn.Module, layer: Layer | nn.Module = "word", packed: PackedRows | None = None) -> None:
        self._packed = packed
        self._below: list[nn.Module] = []
        self._above: list[nn.Module] = []
        self._at_input = False
        if isinstance(layer, nn.Module):
            self._module = layer
        elif layer == "word":
            self._module = word_embeddings(model)
        elif layer == "embeddings" and (module := embeddings_module(model)) is not None:
            self._module = module
        else:
            self._below, self._module, self._above = block(model, 0 if layer == "embeddings" else int(layer))
            self._at_input = True
        if not self._at_input:
            self._below = [self._module]
        self._x: Tensor | None = None
        self._output_below: Any = None
        self._cut = GraphCut()

    def recording(self, on_reaching: Callable[[], None] = _nothing) -> AbstractContextManager[Callable[[], Tensor]]:
        """Records a clean pass: yields a function that returns x, ``[batch, length, hidden]``, after the pass.

        ``on_reaching`` is called when the pass reaches the place.
        """
        self._cut = GraphCut()
        return self._clean_pass(on_reaching, self._cut.copied)

    @contextmanager
    def cutting(
        self, on_reaching: Callable[[], None] = _nothing, start: Callable[[Tensor], Tensor] | None = None
    ) -> Iterator[Callable[[], Tensor]]:
        """Records a clean pass as `recording` does, whose backward pass stops at x and fills ``x.grad``.

        It does so even where no weight is trained that x is computed from. That gradient goes on from x together with
        the one of the next pass that adds δ, so that the graph that computes x is differentiated once. With ``start``,
        a function of x, the pass adds that perturbation.
        """
        self._cut = cut = GraphCut()

        def copy_of_shared(value: Any) -> Any:
            """Blocks below and above may share more than x: learned biases for relative positions (T5, MPNet, DeBERTa).

            They are seen where they are arguments of the block by themselves.
            """
            if not isinstance(value, Tensor) or value.grad_fn is None:
                return value
            give_it_to_blocks_above()
            return cut.copy_of(value)

        @cache
        def give_it_to_blocks_above() -> None:
            for module in self._above:
                stack.enter_context(_changing_other_inputs(module, cut.copied))

        with ExitStack() as stack:
            if self._at_input:
                stack.enter_context(_changing_other_inputs(self._module, copy_of_shared))

            def passed_on(x: Tensor) -> Tensor:
                return cut.copy_of(x) if start is None else _sum(cut.copy_of(x), start(x.detach()))

            yield stack.enter_context(self._clean_pass(on_reaching, passed_on))

    @contextmanager
    def adding(
        self, delta: Tensor, on_reaching: Callable[[], None] = _nothing, below: Literal["joined", "cut"] = "joined"
    ) -> Iterator[None]:
        """Makes the pass inside the ``with`` block adversarial: x + δ, added in fp32, takes the place of x.

        After a pass that was cut at x (`cutting`), the backward pass is ``"cut"`` there as well and its gradient waits
        with that one's, or takes all that wait further down.
        """

        def add(x: Tensor) -> Tensor:
            on_reaching()
            if self._x is None:
                x = self._apart(x)
            else:
                x = self._cut.joined(self._x) if below == "joined" else self._cut.copied(self._x)
            if x.shape != delta.shape:
                raise InputError(f"the perturbation is {list(delta.shape)}, but the vectors here are {list(x.shape)}.")
            return self._together(_sum(x, delta))

        with ExitStack() as stack:
            if self._x is not None:
                for module in self._below:
                    stack.enter_context(_answering(module, self._output_below))
            stack.enter_context(self._changing(add))
            yield

    @contextmanager
    def _clean_pass(
        self, on_reaching: Callable[[], None], passed_on: Callable[[Tensor], Tensor]
    ) -> Iterator[Callable[[], Tensor]]:
        def record(x: Tensor) -> Tensor:
            on_reaching()
            if torch.is_grad_enabled() and not x.requires_grad:  # nothing below is trained, but x has a gradient
                x = x.detach().requires_grad_()
            self._x = self._apart(x)
            return self._together(passed_on(self._x)).clone()  # models may change it in place

        @not_compiled
        def keep_output(module: nn.Module, inputs: Any, output: Any) -> None:
            self._output_below = output

        with ExitStack() as stack:
            if self._below:
                stack.callback(self._below[0].register_forward_hook(keep_output).remove)
            stack.enter_context(self._changing(record))
            yield self._recorded

    def _apart(self, x: Tensor) -> Tensor:
        return x if self._packed is None else self._packed.apart(x)

    def _together(self, x: Tensor) -> Tensor:
        return x if self._packed is None else self._packed.together(x)

    def _recorded(self) -> Tensor:
        assert self._x is not None, "no clean pass was run"
        x: Tensor = self._cut.copied(self._x)
        return x

    @contextmanager
    def _changing(self, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
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
            return change(output) if counts() else output

        @not_compiled
        def on_input(module: nn.Module, args: Any, kwargs: Any) -> Any:
            if not counts():
                return args, kwargs
            if args:
                return (change(args[0]), *args[1:]), kwargs
            return args, {**kwargs, _HIDDEN: change(kwargs[_HIDDEN])}

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
            f"{times}: the perturbation would be lost or doubled. Choose another layer, or a loss that runs the model "
            "once on a batch."
        )


def _sum(x: Tensor, delta: Tensor) -> Tensor:
    return (x.float() + delta).to(x.dtype)


@contextmanager
def _changing_other_inputs(module: nn.Module, change: Callable[[Any], Any]) -> Iterator[None]:
    """All but the hidden states, which come first or by their name."""

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
