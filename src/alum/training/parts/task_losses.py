"""Task loss of batches where nothing, or not everything, has a label."""

from typing import Any

import torch
from torch import Tensor

from alum.core.errors import InputError
from alum.core.method_settings import Method
from alum.models.inputs import Inputs


def no_task_loss(outputs: Any) -> Tensor:
    """Zero for a model's outputs on rows without labels, with a graph as a task loss has one."""
    values = [value for value in outputs.values() if isinstance(value, Tensor) and value.is_floating_point()]
    return torch.stack([(value.float() * 0.0).nan_to_num().sum() for value in values]).sum()


def refuse_without_labels(method: Method, inputs: Inputs) -> None:
    """Raises `InputError` where δ maximises the task loss, for a batch that has none."""
    if method.alpha > 0 and ("task_loss" in (method.ascent, method.term) or method.is_for_language_models):
        raise InputError(
            f"method {method.name!r} needs labels, since its perturbation maximises the task loss, but the batch has "
            f"only {', '.join(sorted(inputs))}. Choose 'alum_virtual' or 'alum', which train on such rows too."
        )


def loss_where(has_items: Tensor, loss: Tensor) -> Tensor:
    """A mean loss, or zero where it is over no items: such a mean is not a number, nor is that times zero."""
    return torch.where(has_items, loss, loss.nan_to_num() * 0.0)
