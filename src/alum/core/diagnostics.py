"""Measurements of whether δ is an adversary or mere noise: divergences at it, at random perturbations, without any."""

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from alum.core.batch import Batch
from alum.core.methods import Method
from alum.core.random_state import keeping_random_state


@dataclass(frozen=True)
class Diagnostics:
    """Measurements of δ, means over the items of a batch; scalar tensors.

    ``divergence`` is that at δ and ``noise_divergence`` the mean at random perturbations whose tokens are as long as
    δ's. ``perturbation_norm`` is the mean L2 norm of a perturbed token vector, ``perturbation_ratio`` that over the
    mean norm of the embeddings. ``mask_divergence``, of methods with independent masks, is that between two passes
    without δ: what of the adversarial loss is not δ's doing.
    """

    divergence: Tensor
    noise_divergence: Tensor
    perturbation_norm: Tensor
    perturbation_ratio: Tensor
    mask_divergence: Tensor | None = None

    @property
    def adversarial_gain(self) -> Tensor:
        """Divergence at δ over that at noise: near 1, δ is no better than noise.

        It grows with the number of coordinates: it tells an adversary from noise within a model, and nothing between
        models.
        """
        is_same = self.divergence == self.noise_divergence  # 0/0: no better than noise
        return torch.where(is_same, 1.0, self.divergence / self.noise_divergence)


@torch.no_grad()
def diagnose(
    batch: Batch, method: Method, delta: Tensor, noise: Iterable[Tensor], clean: Tensor, x: Tensor
) -> Diagnostics | None:
    """Measures δ on a batch with ``clean`` outputs and embeddings x, beside some ``noise`` as long as δ.

    None where no outputs are compared. Without shared masks δ is measured without dropout, since two passes with masks
    of their own differ as much where δ is zero. Which masks training draws next does not depend on it.
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
            divergences = [batch.divergence(batch.outputs(moved), clean).mean() for moved in (delta, *noise)]
    # Weight casts that autocast cached without gradients here must not be used by a pass that needs them.
    torch.clear_autocast_cache()
    count = batch.mask.sum().clamp_min(1)
    norm = delta.norm(dim=-1).sum() / count
    embedding_norm = (x.detach().float().norm(dim=-1) * batch.mask).sum() / count
    ratio = torch.where(norm == 0, 0.0, norm / embedding_norm)  # 0/0: nothing is perturbed
    return Diagnostics(divergences[0], torch.stack(divergences[1:]).mean(), norm, ratio, mask_divergence)
