"""Vocabulary projection of a language model at the predicted positions alone.

The projection is most of a small model's cost, and at 15 % masking most of its rows are thrown away. Heads are
position-wise, so keeping the predicted rows of the base model's output gives the same logits for every architecture.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from alum.models.model_parts import base_transformer


@contextmanager
def head_sees_only(model: nn.Module, rows: Tensor) -> Iterator[None]:
    """Passes only some positions on to the head: ``[batch, length, hidden]`` becomes ``[1, rows, hidden]`` before it.

    ``rows`` are indices into the flattened ``batch * length`` positions.
    """

    def keep_rows(module: nn.Module, inputs: Any, output: Any) -> Any:
        hidden = output[0]
        kept = hidden.reshape(-1, hidden.shape[-1])[rows].unsqueeze(0)
        if isinstance(output, tuple):
            return (kept, *output[1:])
        output["last_hidden_state"] = kept
        return output

    handle = base_transformer(model).register_forward_hook(keep_rows)
    try:
        yield
    finally:
        handle.remove()
