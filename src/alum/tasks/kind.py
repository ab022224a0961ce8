"""A kind of task, and which kind a model is made for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from alum.core.divergences import Divergence
from alum.core.errors import InputError

Inputs = Mapping[str, Any]

# Inputs that a model needs for its loss alone; a pass without them computes only outputs.
LABEL_INPUTS = frozenset({"labels", "label", "label_ids", "start_positions", "end_positions", "shift_labels"})


@dataclass(frozen=True)
class TaskKind:
    """What training and evaluation need to know of a kind of task; one module of this package each.

    ``compared`` turns a model's outputs and inputs into the ``[items, ...]`` tensor whose items ``distance`` compares
    between two passes. ``metrics`` maps predictions and labels, as the Trainer gathers them, to rates in [0, 1] and
    the like; ``main_metric`` is the one that the best checkpoint is chosen by.
    """

    name: str
    auto_class: type
    compared: Callable[[Any, Inputs], Tensor]
    distance: Divergence
    metrics: Callable[[np.ndarray, np.ndarray], dict[str, float]]
    main_metric: str
    predicted_rows: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None
    """For language models: labels ``[batch, length]`` to the flat positions that are predicted and their labels."""


def logits_of(outputs: Any) -> Tensor:
    """The logits in a ``transformers`` model's output.

    Raises `InputError` for a model that returns something else.
    """
    logits = outputs.get("logits") if isinstance(outputs, dict) else None
    if not isinstance(logits, Tensor):
        raise InputError(
            f"expected a model that returns logits in a transformers ModelOutput, but it returned "
            f"{type(outputs).__name__}. Use a model with a task head, and leave return_dict on."
        )
    return logits
