"""Weights of which each process has a part, as DeepSpeed's ZeRO 3 makes them where a model is loaded.

In training its engine puts them together, block by block; before there is one nothing does.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from transformers import PreTrainedModel


@contextmanager
def whole_weights(model: nn.Module) -> Iterator[None]:
    """Has all weights whole, in every process at once."""
    in_parts = [weight for weight in model.parameters() if hasattr(weight, "ds_id")]
    if not in_parts:
        yield
        return
    import deepspeed

    with deepspeed.zero.GatheredParameters(in_parts):
        yield


def num_parameters(model: PreTrainedModel) -> int:
    """Number of a model's weights, also of those that are elsewhere."""
    elsewhere = sum(weight.ds_numel - weight.numel() for weight in model.parameters() if hasattr(weight, "ds_numel"))
    return int(model.num_parameters() + elsewhere)
