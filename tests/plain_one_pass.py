"""The one-pass objective written out for any model and loss, to hold a Trainer's step against."""

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Trainer

EPSILON, ALPHA, RATE = 0.5, 2.0, 0.1
ONE_STEP = {
    "adv_method": "alum_one_pass",
    "adv_epsilon": EPSILON,
    "adv_alpha": ALPHA,
    "max_steps": 1,
    "learning_rate": RATE,
    "max_grad_norm": 0.0,
}


@contextmanager
def _output_of(place: nn.Module, change: Callable[[Tensor], Tensor]):
    handle = place.register_forward_hook(lambda module, args, output: change(output))
    try:
        yield
    finally:
        handle.remove()


def one_pass_gradients(
    place: nn.Module,
    mask: Tensor,
    loss_and_outputs: Callable[[], tuple[Tensor, Tensor]],
    distance: Callable[[Tensor, Tensor], Tensor],
    parameters: dict[str, nn.Parameter],
    alpha: float = ALPHA,
) -> dict[str, Tensor]:
    """∇(ℓ(x) + α · mean D(f(x + δ), f(x) held constant)), δ = ε · mean ‖x‖ of its sequence · ∇ℓ / ‖∇ℓ‖ at each token.

    ``place`` is the module whose output x is perturbed; it runs once when ``loss_and_outputs`` is called.
    """
    kept = []

    def keep(x: Tensor) -> Tensor:
        kept.append(x)
        return x

    with _output_of(place, keep):
        loss, clean = loss_and_outputs()
    (x,) = kept
    (direction,) = torch.autograd.grad(loss, x, retain_graph=True)
    mask = mask.unsqueeze(-1).float()
    unit = (x.detach().norm(dim=-1, keepdim=True) * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True)
    delta = EPSILON * unit * mask * direction / direction.norm(dim=-1, keepdim=True).clamp_min(1e-30)
    with _output_of(place, lambda x: x + delta):
        _, adversarial = loss_and_outputs()
    total = loss + alpha * distance(adversarial, clean.detach()).mean()
    gradients = torch.autograd.grad(total, list(parameters.values()), allow_unused=True)
    return dict(zip(parameters, (torch.zeros(()) if g is None else g for g in gradients), strict=True))


def jeffreys(logits_p: Tensor, logits_q: Tensor) -> Tensor:
    p, q = logits_p.softmax(-1), logits_q.softmax(-1)
    return ((p - q) * (logits_p.log_softmax(-1) - logits_q.log_softmax(-1))).sum(-1)


def assert_step(trainer: Trainer, before: dict[str, Tensor], gradients: dict[str, Tensor]) -> None:
    """The trainer's one step of gradient descent went along ``gradients``, which are not those of a flat loss."""
    after = {name: value.detach() for name, value in trainer.model.named_parameters()}
    moved: dict[str, Any] = {name: (before[name] - after[name]) / RATE for name in gradients}
    expected = {name: gradient.expand_as(before[name]) for name, gradient in gradients.items()}
    assert max(gradient.abs().max() for gradient in expected.values()) > 1e-2
    torch.testing.assert_close(moved, expected, rtol=1e-3, atol=2e-5)
