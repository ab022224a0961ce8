"""Split of a batch into rows that are attacked and rows that are spared."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from alum.models.inputs import Inputs, num_rows


@dataclass(frozen=True)
class Part:
    """Attacked or spared rows of a micro-batch, and the weights of their mean losses in the step's.

    A weight is None where a plain mean is right. The adversarial mean stands for all rows of the micro-batch.
    """

    inputs: Inputs
    share: Tensor | float | None
    adversarial_share: Tensor | float | None


def attacked_and_spared(
    inputs: Inputs,
    fraction: float,
    share: Tensor | float | None,
    num_items: Callable[[Inputs], Tensor],
    generator: torch.Generator,
) -> tuple[Part, Part | None]:
    """Splits a batch into a ``fraction`` of its rows to attack, drawn by ``generator``, and the rest, None if empty.

    ``share`` is what the whole micro-batch counts for, which the parts divide by their ``num_items``. Two passes over
    parts cost what one over the whole does, and dropout masks can be shared within a part.
    """
    count = num_rows(inputs)
    num_attacked = max(round(fraction * count), 1)
    if num_attacked >= count:
        return Part(inputs, share, share), None
    order = torch.randperm(count, generator=generator, device=generator.device)
    whole = 1.0 if share is None else share

    def part(rows: Tensor) -> Part:
        rows = rows.sort().values
        of_rows = {
            name: value[rows] if isinstance(value, Tensor) and value.shape[:1] == (count,) else value
            for name, value in inputs.items()
        }
        return Part(of_rows, whole * num_items(of_rows) / num_items(inputs).clamp_min(1), whole)

    return part(order[:num_attacked]), part(order[num_attacked:])
