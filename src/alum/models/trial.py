"""A first pass of a loaded model, which finds what its files get wrong before anything is written or trained."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from alum.core.errors import InputError
from alum.core.randomness.random_state import keeping_random_state
from alum.models.hooks.dropout import without_dropout
from alum.models.loading.weights_in_parts import whole_weights

Found = TypeVar("Found")


@torch.no_grad()
def check_first_pass(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    name: str,
    forward: Callable[[Mapping[str, Tensor]], Any] | None = None,
) -> None:
    """Runs a model, which is called ``name``, on some rows; raises `InputError` where it fails or says no numbers.

    ``forward`` is a pass of the model where it takes the inputs otherwise than by their names.
    """
    device = next(iter(inputs.values())).device
    with whole_weights(model), keeping_random_state(device), without_dropout(model):
        outputs = tried(name, lambda: model(**inputs) if forward is None else forward(inputs))
    if any(value.isnan().any() for key, value in dict(outputs).items() if key.endswith("logits")):
        raise InputError(
            f"what {name} says of the first rows are no numbers (NaN): its config.json or weights are broken."
        )


def tried(name: str, run: Callable[[], Found]) -> Found:
    """Result of the first pass of a model, which is called ``name``; raises `InputError` where it fails."""
    try:
        return run()
    except (InputError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # whatever a model's code raises for settings that it does not expect
        raise InputError(
            f"{name} cannot be run on the first rows: {type(error).__name__}: {error} Its config.json or its "
            "tokenizer's files may be of another model."
        ) from None
