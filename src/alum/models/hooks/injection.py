"""Adding a perturbation δ inside a model by forward hooks, never through ``inputs_embeds``.

Models recompute positions from ``input_ids``, and some apply position embeddings and LayerNorm again to what comes in
as ``inputs_embeds``; a hook on the module changes its output and nothing else.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from copy import copy
from functools import cache, partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from alum.core.errors import InputError
from alum.core.method_settings import Layers
from alum.models.compilation import not_compiled
from alum.models.hooks.packed_rows import PackedRows
from alum.models.hooks.places.graph_cut import GraphCut
from alum.models.hooks.places.place_in_model import PlaceInModel, answering, changing_other_inputs
from alum.models.hooks.places.values_at_places import ValuesAtPlaces


def _nothing() -> None:
    pass


class Injection:
    """A place in ``model`` where clean passes record the hidden vectors x and adversarial passes add δ to them.

    ``layer`` is ``"word"``, ``"embeddings"``, a block's number (δ goes to its input), or any module of a model that
    ``transformers`` does not know (δ goes to its output). After a clean pass was recorded, adversarial ones on the same
    batch add δ to the very same x: the modules that compute it do not run again. Without a recorded pass they do.

    Where rows hold several sequences (``packed``), x and δ are ``[sequences, longest, hidden]``. Where ``layer`` are
    several places in the order of a pass, their rows stand beside each other (`ValuesAtPlaces`): δ is added to the
    clean x at the first, and to what the adversarial pass comes with at later ones.
    """

    def __init__(self, model: nn.Module, layer: Layers | nn.Module = "word", packed: PackedRows | None = None) -> None:
        self._packed = packed
        self._place, *self._later = [
            PlaceInModel(model, one) for one in (layer if isinstance(layer, tuple) else (layer,))
        ]
        self._values = ValuesAtPlaces(self.num_places)
        self._x: Tensor | None = None
        self._output_below: Any = None
        self._cut = GraphCut()

    @property
    def num_places(self) -> int:
        return 1 + len(self._later)

    def mask_of_rows(self, mask: Tensor) -> Tensor:
        """Mask ``[batch, length]`` of a batch for the rows of x."""
        return mask.repeat_interleave(self.num_places, 0) if self._later else mask

    def unrecorded(self) -> "Injection":
        """Returns the same places without a recorded pass."""
        fresh = copy(self)
        fresh._x, fresh._values, fresh._cut = None, ValuesAtPlaces(self.num_places), GraphCut()
        return fresh

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
            for module in self._place.above:
                stack.enter_context(changing_other_inputs(module, cut.copied))

        with ExitStack() as stack:
            if self._place.at_input:
                stack.enter_context(changing_other_inputs(self._place.module, copy_of_shared))

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
            return self._together(_sum(x, self._values.at(0, delta)))

        def add_later(place: int, x: Tensor) -> Tensor:
            return self._together(_sum(self._apart(x), self._values.at(place, delta)))

        with ExitStack() as stack:
            if self._x is not None:
                for module in self._place.below:
                    stack.enter_context(answering(module, self._output_below))
            stack.enter_context(self._place.changing(add))
            for number, place in enumerate(self._later, start=1):
                stack.enter_context(place.changing(partial(add_later, number)))
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
            return self._together(seen(0, passed_on(self._x))).clone()  # models may change it in place

        def seen(place: int, x: Tensor) -> Tensor:
            return self._values.seen(place, x) if self._later else x

        def record_later(place: int, x: Tensor) -> Tensor:
            return self._together(seen(place, self._apart(x))).clone()

        self._values = ValuesAtPlaces(self.num_places)

        @not_compiled
        def keep_output(module: nn.Module, inputs: Any, output: Any) -> None:
            self._output_below = output

        with ExitStack() as stack:
            if self._place.below:
                stack.callback(self._place.below[0].register_forward_hook(keep_output).remove)
            stack.enter_context(self._place.changing(record))
            for number, place in enumerate(self._later, start=1):
                stack.enter_context(place.changing(partial(record_later, number)))
            yield self.recorded

    def _apart(self, x: Tensor) -> Tensor:
        return x if self._packed is None else self._packed.apart(x)

    def _together(self, x: Tensor) -> Tensor:
        return x if self._packed is None else self._packed.together(x)

    def recorded(self) -> Tensor:
        """X of the clean pass."""
        if self._later:
            return self._values.x
        assert self._x is not None, "no clean pass was run"
        x: Tensor = self._cut.copied(self._x)
        return x


def _sum(x: Tensor, delta: Tensor) -> Tensor:
    if x.shape != delta.shape:
        raise InputError(f"the perturbation is {list(delta.shape)}, but the vectors here are {list(x.shape)}.")
    return (x.float() + delta).to(x.dtype)
