"""FreeLB (Zhu et al. 2020, arXiv:1909.11764, Algorithm 1): the passes that find δ are those that are trained on.

min_θ 1/K · Σ_t ℓ(f(x + δ_t; θ), y), t = 0 … K - 1, where δ_0 is random and δ_{t+1} = Π(δ_t + η · ∇ℓ(δ_t) / ‖∇ℓ(δ_t)‖).
No pass is at x itself. Each backward pass gives the gradient at δ_t and a part of the weights' at once, so that K
passes cost what K standard steps do; all have the dropout masks of the first.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from alum.core.batch import Batch
from alum.core.method_settings import Method
from alum.core.perturbation import ascended, first_perturbation


@dataclass(frozen=True)
class AscentLosses:
    """Task losses at the first δ and, on average, at all of them; the last δ, and whether its gradients were finite.

    ``loss`` has the value of the objective, and the gradients that are still missing: those of the last pass.
    """

    loss: Tensor
    first: Tensor
    mean: Tensor
    delta: Tensor
    x: Tensor
    finite: Tensor


def freelb_loss(
    batch: Batch, method: Method, generator: Generator | None, backward: Callable[[Tensor], None]
) -> AscentLosses:
    """Back-propagates the losses at all δ but the last; with alpha below 1 the first weighs more than the others.

    From a gradient at δ on that is not finite, δ stays; as in standard training the weights get what their losses give.
    """
    delta = radius = torch.empty(0)

    def start(x: Tensor) -> Tensor:
        nonlocal delta, radius
        delta, radius = first_perturbation(x, batch.mask, method, batch.row_noise or generator)
        return delta.requires_grad_()

    weight = method.alpha / method.num_steps
    loss, _, x = batch.clean_cut_at_x(start)
    mask = batch.mask.bool().unsqueeze(-1)  # which the pass may have shown
    losses, shares = [loss.detach()], [(1 - method.alpha + weight) * loss.detach()]
    backward((1 - method.alpha + weight) * loss)
    finite = torch.tensor(True, device=x.device)
    for step in range(1, method.num_steps):
        assert delta.grad is not None
        gradient = torch.where(mask, delta.grad, 0.0)
        finite = finite & gradient.isfinite().all()
        gradient = torch.where(finite, gradient, 0.0)
        delta = (ascended(delta.detach(), gradient, radius, method) * mask).requires_grad_()
        is_last = step == method.num_steps - 1
        loss = batch.task_loss(delta.detach())[0] if is_last else batch.task_loss_cut_at_x(delta)
        losses.append(loss.detach())
        if not is_last:
            shares.append(weight * loss.detach())
            backward(weight * loss)
    total = weight * loss + torch.stack(shares).sum()
    return AscentLosses(total, losses[0], torch.stack(losses).mean(), delta.detach(), x.detach(), finite)
