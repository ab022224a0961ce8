"""Recording of what meets at a language model's output embeddings where it predicts labels, by a hook on them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from alum.core.batch import LabelOutputs
from alum.core.errors import InputError
from alum.models.compilation import not_compiled
from alum.models.model_parts import output_embeddings


class LabelRecording:
    """Output embeddings of ``model`` in passes on one batch, of which ``labels`` are predicted at the flat ``rows``.

    The head may see all positions of the batch or these rows alone.
    """

    def __init__(self, model: nn.Module, rows: Tensor, labels: Tensor) -> None:
        self._module = output_embeddings(model)
        self._rows, self._labels = rows, labels

    @contextmanager
    def recording(self) -> Iterator[Callable[[Tensor], LabelOutputs]]:
        """Records a pass: yields a function of its logits at the rows, ``[items, vocabulary]``, to call after it.

        Raises `InputError` where the module did not run exactly once.
        """
        seen: list[tuple[Tensor, Tensor]] = []

        @not_compiled
        def on_input(module: nn.Module, args: Any) -> None:
            flat = args[0].flatten(0, -2)
            hidden = flat if len(flat) == len(self._rows) else flat[self._rows]
            with torch.no_grad():  # here the weight is whole, however it is kept between passes
                weight: Any = module.weight
                norms = weight[self._labels].float().norm(dim=-1)
            seen.append((hidden, norms))

        handle = self._module.register_forward_pre_hook(on_input)
        try:
            yield lambda logits: LabelOutputs(logits, self._labels, *seen[0])
        finally:
            handle.remove()
        if len(seen) != 1:
            raise InputError(
                f"the output embeddings ({type(self._module).__name__}) must run exactly once in a forward pass, but "
                f"they ran {len(seen)} times: they are not what the logits come from. Choose a method that perturbs "
                "the input, such as 'alum_one_pass'."
            )
