"""Difference-of-logits ratio against right answers, a loss for attacks that no scale of the logits changes.

Log odds grow with the scale of the logits, and their gradient leans to the label that is nearest already where that
scale is large, to all of them where it is small. The ratio (Croce and Hein 2020, arXiv:2003.01690, section 4) goes for
one label at a time whatever the scale, and its size says how near the others are.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from alum.models.inputs import Inputs

_LEAST_LABELS = 3


def logit_ratio_against(logits: Tensor, labels: Tensor) -> Tensor:
    """Ratio ``[...]`` against the ``labels`` ``[...]``, in fp32, of logits ``[..., classes]``, three or more of them.

    The largest other logit less that of the label, over the largest logit less the third largest: above 0 where the
    answer is wrong. Of two labels there is no third logit, and their log odds are already the margin.

    >>> logit_ratio_against(torch.tensor([[4.0, 3.0, 0.0], [0.0, 2.0, 1.0]]), torch.tensor([0, 0]))
    tensor([-0.2500,  1.0000])
    """
    logits, labels = logits.float(), labels.unsqueeze(-1)
    others = logits.scatter(-1, labels, -torch.inf).amax(-1)
    first, _, third = logits.topk(_LEAST_LABELS, dim=-1).values.unbind(-1)
    spread = (first - third).clamp_min(torch.finfo(logits.dtype).tiny)
    ratio: Tensor = (others - logits.gather(-1, labels).squeeze(-1)) / spread
    return ratio


def _of_labels(outputs: Any, inputs: Inputs) -> Tensor:
    return logit_ratio_against(outputs["logits"], inputs["labels"])


def ratio_where_defined(outputs: Mapping[str, Tensor]) -> Sequence[Callable[[Any, Inputs], Tensor]]:
    """Gives the ratio as a loss of an `AttackedBatch`, where there are labels enough for it."""
    return (_of_labels,) if outputs["logits"].shape[-1] >= _LEAST_LABELS else ()
