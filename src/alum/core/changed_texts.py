"""Adversary that changes the text: the worst of the texts that were drawn for each row, and the loss at it."""

import torch
from torch import Tensor

from alum.core.batch import Batch, weighed_divergence
from alum.core.method_settings import Method
from alum.core.randomness.random_state import keeping_random_state


def loss_at_texts(batch: Batch, method: Method, clean_outputs: Tensor, gradient: Tensor | None) -> Tensor:
    """D, or the task loss, at the worst of the texts drawn for each row.

    ``gradient`` is that of the task loss at x, by which methods that choose by it find the worst.
    """
    if method.chooses_text_by_gradient:
        assert gradient is not None, "the task loss was back-propagated"
        draws = batch.first_order_gains(gradient).argmax(1)
    else:
        draws = worst_draws(batch, clean_outputs.detach())
    if method.term == "task_loss":
        return batch.drawn_task_loss(draws)
    side = clean_outputs.detach() if method.clean_side == "constant" else clean_outputs
    return weighed_divergence(batch, batch.drawn_outputs(draws), side)


@torch.no_grad()
def worst_draws(batch: Batch, clean_outputs: Tensor) -> Tensor:
    """Finds which of the texts drawn for each row has the largest divergence; returns their numbers, ``[rows]``.

    ``clean_outputs`` ``[rows, ...]``. A pass without gradients for each, all with the same dropout masks; none where a
    single text was drawn.
    """
    device = clean_outputs.device
    numbers = [torch.full((len(clean_outputs),), draw, device=device) for draw in range(batch.num_draws)]
    if len(numbers) == 1:
        return numbers[0]
    divergences = []
    for draws in numbers:
        with keeping_random_state(device):
            divergences.append(batch.divergence(batch.drawn_outputs(draws), clean_outputs))
    return torch.stack(divergences).argmax(0)
