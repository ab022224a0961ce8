"""A first pass of a loaded model, which finds what its files get wrong before anything is written or trained."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from alum.core.errors import InputError
from alum.core.random_state import keeping_random_state
from alum.models.hooks.dropout import without_dropout


@torch.no_grad()
def check_first_pass(model: nn.Module, inputs: Mapping[str, Tensor], name: str) -> None:
    """Runs a model, which is called ``name``, on some rows; raises `InputError` where it fails or says no numbers."""
    device = next(iter(inputs.values())).device
    try:
        with keeping_random_state(device), without_dropout(model):
            outputs: Any = model(**inputs)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise InputError(
            f"{name} cannot be run on the first rows: {type(error).__name__}: {error} Its config.json or its "
            "tokenizer's files may be of another model."
        ) from None
    if any(value.isnan().any() for key, value in dict(outputs).items() if key.endswith("logits")):
        raise InputError(
            f"what {name} says of the first rows are no numbers (NaN): its config.json or weights are broken."
        )
