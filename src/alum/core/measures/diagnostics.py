"""Measurements of whether δ is an adversary: its divergence beside that of noise, of further ascent, of masks alone."""

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from alum.core.batch import Batch
from alum.core.method_settings import Method
from alum.core.perturbation import further_ascent, random_perturbation_like
from alum.core.randomness.random_state import keeping_random_state
from alum.core.randomness.row_noise import RowNoise


@dataclass(frozen=True)
class Probes:
    """Company that δ is measured in: random perturbations as long, and what more steps of ascent from it on reach."""

    num_draws: int = 0
    num_further_steps: int = 0
    generator: Generator | None = None

    def noise_like(self, delta: Tensor, rows: RowNoise | None) -> Iterable[Tensor]:
        # Draws and a generator of its own, so that measuring does not change what training draws next.
        if rows is not None:
            return (random_perturbation_like(delta, rows.of_draw(1 + number)) for number in range(self.num_draws))
        seed = self.generator.initial_seed() + 1 if self.generator else 0
        generator = Generator(delta.device).manual_seed(seed)
        return (random_perturbation_like(delta, generator) for _ in range(self.num_draws))


@dataclass(frozen=True)
class Diagnostics:
    """Measurements of δ, means over the items of a batch; scalar tensors.

    ``divergence`` is that at δ and ``noise_divergence`` the mean at random perturbations whose tokens are as long as
    δ's. ``perturbation_norm`` is the mean L2 norm of a perturbed token vector, ``perturbation_ratio`` that over the
    mean norm of the embeddings. ``further_divergence``, if asked for, is the largest that steps of ascent on the
    divergence find from δ on within its ball, δ's own included. ``mask_divergence``, of methods with independent masks,
    is that between two passes without δ: what of the adversarial loss is not δ's doing.
    """

    divergence: Tensor
    noise_divergence: Tensor
    perturbation_norm: Tensor
    perturbation_ratio: Tensor
    further_divergence: Tensor | None = None
    mask_divergence: Tensor | None = None

    @property
    def adversarial_gain(self) -> Tensor:
        """Divergence at δ over that at noise: near 1, δ is no better than noise.

        It grows with the number of coordinates: it tells an adversary from noise within a model, and nothing between
        models.
        """
        is_same = self.divergence == self.noise_divergence  # 0/0: no better than noise
        return torch.where(is_same, 1.0, self.divergence / self.noise_divergence)

    @property
    def adversarial_strength(self) -> Tensor | None:
        """Divergence at δ as a share, at most 1, of what further ascent reaches."""
        if self.further_divergence is None:
            return None
        is_same = self.divergence == self.further_divergence
        return torch.where(is_same, 1.0, self.divergence / self.further_divergence)


@torch.no_grad()
def diagnose(
    batch: Batch, method: Method, delta: Tensor, clean: Tensor, x: Tensor, probes: Probes
) -> Diagnostics | None:
    """Measures δ on a batch with ``clean`` outputs and embeddings x; None where no outputs are compared.

    Without shared masks δ is measured without dropout, since two passes with masks of their own differ as much where δ
    is zero. Which masks training draws next does not depend on it.
    """
    if not clean.numel():
        return None
    mask_divergence = None
    with keeping_random_state(x.device):
        if method.dropout == "independent" and method.term == "divergence":
            mask_divergence = batch.divergence(batch.outputs(torch.zeros_like(delta)), clean).mean()
        with nullcontext() if method.dropout == "shared" else batch.without_dropout():
            if method.dropout != "shared":
                clean = batch.outputs(torch.zeros_like(delta))
            at_delta, *at_noise = (
                batch.divergence(batch.outputs(moved), clean).mean()
                for moved in (delta, *probes.noise_like(delta, batch.row_noise))
            )
            further = _further_divergence(batch, method, delta, clean, x, probes.num_further_steps)
    # Weight casts that autocast cached without gradients here must not be used by a pass that needs them.
    torch.clear_autocast_cache()
    count = batch.mask.sum().clamp_min(1)
    norm = delta.norm(dim=-1).sum() / count
    embedding_norm = (x.detach().float().norm(dim=-1) * batch.mask).sum() / count
    ratio = torch.where(norm == 0, 0.0, norm / embedding_norm)  # 0/0: nothing is perturbed
    return Diagnostics(
        divergence=at_delta,
        noise_divergence=torch.stack(at_noise).mean(),
        perturbation_norm=norm,
        perturbation_ratio=ratio,
        further_divergence=None if further is None else torch.maximum(further, at_delta),
        mask_divergence=mask_divergence,
    )


def _further_divergence(
    batch: Batch, method: Method, delta: Tensor, clean: Tensor, x: Tensor, num_steps: int
) -> Tensor | None:
    if not num_steps:
        return None

    def divergence(delta: Tensor) -> Tensor:
        return batch.divergence(batch.outputs(delta), clean).sum()

    with batch.without_weight_gradients():
        found = list(further_ascent(divergence, delta, x.detach(), batch.mask, method, num_steps))
    return torch.stack([divergence(moved) for moved in found]).max() / len(clean)
