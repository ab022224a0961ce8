"""Split of a batch into rows that are attacked and rows that are spared."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

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
    shares: tuple[Tensor | float | None, Tensor | float | None],
    num_items: Callable[[Inputs], Tensor],
    noise: tuple[Generator, Generator],
    rows_per_example: int = 1,
) -> tuple[Part | None, Part | None]:
    """Splits a batch into a ``fraction`` of its rows to attack, drawn by chance, and the rest; None for an empty part.

    ``shares`` are what the whole micro-batch counts for, of the task loss, which the parts divide by their
    ``num_items``, and of the adversarial term. Two passes over parts cost what one over the whole does, and dropout
    masks can be shared within a part.

    The first generator of ``noise`` rounds the number of rows, up as often as its fractional part says: of single rows
    every fourth is attacked at 0.25. An attacked row weighs the same, one over the expected number, in either case, so
    that the adversarial term is that of all rows in the mean. The second one draws which rows they are.

    Where an example has several rows (a pair has two), it is attacked or spared as a whole. All first rows stand before
    all second ones, and what there is one of an example has as many entries as there are examples.
    """
    share, adversarial_share = shares
    if fraction == 1:
        return Part(inputs, share, adversarial_share), None
    rounding, choice = noise
    count = num_rows(inputs) // rows_per_example
    num_attacked = int(fraction * count + torch.rand((), generator=rounding).item())
    whole = 1.0 if share is None else share
    whole_of_term = 1.0 if adversarial_share is None else adversarial_share
    adversarial_share = whole_of_term * num_attacked / (fraction * count)
    if num_attacked == 0:
        return None, Part(inputs, share, None)
    if num_attacked >= count:
        return Part(inputs, share, adversarial_share), None
    order = torch.randperm(count, generator=choice, device=choice.device)

    def part(rows: Tensor) -> Part:
        rows = rows.sort().values
        of_length = {
            count: rows,
            count * rows_per_example: torch.cat([rows + number * count for number in range(rows_per_example)]),
        }

        def taken(value: Any) -> Any:
            chosen = of_length.get(len(value)) if isinstance(value, Tensor) and value.dim() else None
            return value if chosen is None else value[chosen]

        of_rows = {name: taken(value) for name, value in inputs.items()}
        return Part(of_rows, whole * num_items(of_rows) / num_items(inputs).clamp_min(1), adversarial_share)

    return part(order[:num_attacked]), part(order[num_attacked:])
