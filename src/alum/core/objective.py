"""Training objective of ALUM: min_θ E[ ℓ(f(x; θ), y) + α · max_‖δ‖≤ε D(f(x + δ; θ), f(x; θ)) ].

The model, its inputs and labels are behind one small interface, so the functions here work for any module and loop.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor

from alum.core.methods import Method
from alum.core.perturbation import Perturbation, random_perturbation_like, worst_case_perturbation


class Batch(Protocol):
    """A model on one batch, as functions of the perturbation: f(x + δ; θ) with x and θ fixed."""

    mask: Tensor
    """``[batch, length]``: True where the embeddings may be perturbed."""
    scale: Tensor | float
    """Weight of the mean over this batch's items in the step's loss; 1 without gradient accumulation."""

    def clean(self) -> tuple[Tensor, Tensor, Tensor]:
        """Clean pass: returns the task loss ℓ (a scaled scalar), the outputs ``[items, ...]`` and the embeddings x."""

    def clean_cut_at_x(self) -> tuple[Tensor, Tensor, Tensor]:
        """Clean pass whose task loss is back-propagated before the adversarial pass; returns what `clean` does.

        The backward pass of that loss stops at x and fills ``x.grad``. The backward pass of f(x + δ) adds this gradient
        to its own and takes both further, to the weights that x is computed from.
        """

    def outputs(self, delta: Tensor) -> Tensor:
        """Adversarial pass: returns the outputs f(x + δ), ``[items, ...]``."""

    def task_loss(self, delta: Tensor) -> Tensor:
        """Adversarial pass: returns the task loss ℓ(f(x + δ), y), a scaled scalar."""

    def divergence(self, adversarial: Tensor, clean: Tensor) -> Tensor:
        """Divergence D between the outputs of two passes, ``[items]``."""


@dataclass(frozen=True)
class Diagnostics:
    """Measurements on one batch of whether δ is an adversary or mere noise; scalar tensors.

    ``adversarial_gain`` is the divergence at δ over the mean divergence at random perturbations whose tokens are as
    long as δ's: near 1, δ is no better than noise. ``perturbation_norm`` is the mean L2 norm of a perturbed token
    vector, ``perturbation_ratio`` that over the mean norm of the embeddings.
    """

    adversarial_gain: Tensor
    divergence: Tensor
    noise_divergence: Tensor
    perturbation_norm: Tensor
    perturbation_ratio: Tensor


@dataclass(frozen=True)
class AlumResult:
    """Losses and perturbation of one training step; all but ``loss`` are detached.

    ``loss`` has the value of the whole objective. Its backward pass gives the gradients that are still missing: all
    of them, or in a one-pass step, whose task loss has been back-propagated down to x already, those of the adversarial
    term and, for the weights that x is computed from, those of the task loss too.
    """

    loss: Tensor
    task_loss: Tensor
    adversarial_loss: Tensor
    alpha: float
    skipped: Tensor
    delta: Tensor | None = None
    diagnostics: Diagnostics | None = None


def alum_loss(
    batch: Batch,
    method: Method,
    generator: Generator | None = None,
    backward: Callable[[Tensor], None] = Tensor.backward,
    num_gain_draws: int = 0,
) -> AlumResult:
    """Computes ALUM's objective ℓ + α·D on one batch.

    With ``num_gain_draws`` above 0 the result has diagnostics, for which δ is compared with so many random
    perturbations. ``backward`` back-propagates the task loss where ``method`` takes its gradient from there (one-pass
    ALUM). The graphs of the two passes from x to the outputs are then never alive at once, and the clean side of D is a
    constant.
    """
    task_loss, clean_outputs, embeddings = batch.clean_cut_at_x() if method.is_one_pass else batch.clean()
    if method.alpha == 0:
        zero = torch.zeros_like(task_loss.detach())
        return AlumResult(task_loss, task_loss.detach(), zero, 0.0, skipped=zero)

    constant_outputs = clean_outputs.detach()
    first_gradient = None
    if method.is_one_pass:
        with torch.autocast(embeddings.device.type, enabled=False):
            backward(task_loss)
        first_gradient = embeddings.grad
        task_loss, clean_outputs = task_loss.detach(), constant_outputs

    def ascended(delta: Tensor) -> Tensor:
        if method.ascent == "task_loss":
            return batch.task_loss(delta)
        return batch.divergence(batch.outputs(delta), constant_outputs).sum()

    found = worst_case_perturbation(ascended, embeddings.detach(), batch.mask, method, first_gradient, generator)
    if method.term == "task_loss":
        adversarial_loss = batch.task_loss(found.delta)
    else:
        divergence = batch.divergence(batch.outputs(found.delta), clean_outputs)
        adversarial_loss = batch.scale * divergence.sum() / max(divergence.numel(), 1)

    finite = found.finite & adversarial_loss.detach().isfinite()
    if not finite:  # the one place that waits for the device
        adversarial_loss = _nothing(batch, found.delta)
    diagnostics = None
    if num_gain_draws and clean_outputs.numel():
        # Nor does measuring change which dropout masks training draws next.
        with torch.random.fork_rng([embeddings.device] if embeddings.is_cuda else []):
            diagnostics = _diagnose(batch, found, embeddings.detach(), constant_outputs, num_gain_draws, generator)
    return AlumResult(
        loss=task_loss + method.alpha * adversarial_loss,
        task_loss=task_loss.detach(),
        adversarial_loss=adversarial_loss.detach(),
        alpha=method.alpha,
        skipped=(~finite).to(torch.float32),
        delta=found.delta,
        diagnostics=diagnostics,
    )


def _nothing(batch: Batch, delta: Tensor) -> Tensor:
    """Zero, with zero gradients: processes that wait for each other's gradients still get them.

    Multiplying the term by zero would not do: 0 · NaN is NaN, in the backward pass of every layer that saved one.
    """
    return (batch.outputs(torch.zeros_like(delta)).float() * 0.0).nan_to_num().sum()


@torch.no_grad()
def _diagnose(
    batch: Batch, found: Perturbation, embeddings: Tensor, clean: Tensor, num_draws: int, generator: Generator | None
) -> Diagnostics:
    def mean_divergence(delta: Tensor) -> Tensor:
        return batch.divergence(batch.outputs(delta), clean).mean()

    divergence = mean_divergence(found.delta)
    # A generator of its own, so that measuring does not change what training draws next.
    generator = Generator(found.delta.device).manual_seed(generator.initial_seed() + 1 if generator else 0)
    noise = [mean_divergence(random_perturbation_like(found.delta, generator)) for _ in range(num_draws)]
    noise_divergence = torch.stack(noise).mean()
    count = batch.mask.sum().clamp_min(1)
    norm = found.delta.norm(dim=-1).sum() / count
    embedding_norm = (embeddings.float().norm(dim=-1) * batch.mask).sum() / count
    # Weight casts that autocast cached without gradients here must not be used by a pass that needs them.
    torch.clear_autocast_cache()
    gain = torch.where(divergence == noise_divergence, 1.0, divergence / noise_divergence)  # 0/0: no better than noise
    return Diagnostics(gain, divergence, noise_divergence, norm, norm / embedding_norm)
