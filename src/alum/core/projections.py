"""Norms of perturbations, and the maps that bring these to the radius.

A perturbation is ``[batch, length, hidden]``. With scope ``"token"`` every vector ``delta[b, t]`` has its own ball,
with scope ``"sequence"`` all vectors of ``delta[b]`` share one. Radii broadcast against ``[batch, 1, 1]``.
"""

import torch
from torch import Tensor

from alum.core.method_settings import Norm, Scope

RELEASED_GUARD = 1e-6  # what the released code adds to the norm that it divides by, and calls "epsilon"


def norm_of(delta: Tensor, norm: Norm, scope: Scope) -> Tensor:
    """Norm of each perturbed vector: ``[batch, length, 1]`` for tokens, ``[batch, 1, 1]`` for sequences."""
    dims = (-1,) if scope == "token" else (-2, -1)
    length: Tensor = torch.linalg.vector_norm(delta, ord=2 if norm == "l2" else torch.inf, dim=dims, keepdim=True)
    return length


def project_onto_ball(delta: Tensor, radius: Tensor | float, norm: Norm, scope: Scope) -> Tensor:
    """Projects ``delta`` to the nearest point of the ball in Euclidean distance, Π of Algorithm 1; inside, it stays.

    >>> project_onto_ball(torch.tensor([[[3.0, 4.0]]]), 1.0, "l2", "token")
    tensor([[[0.6000, 0.8000]]])
    """
    if norm == "linf":
        radius = torch.as_tensor(radius, dtype=delta.dtype, device=delta.device)
        return torch.minimum(torch.maximum(delta, -radius), radius)
    length = norm_of(delta, norm, scope)
    return delta * (radius / length.clamp_min(torch.finfo(delta.dtype).tiny)).clamp_max(1.0)


def rescale_to_sphere(delta: Tensor, radius: Tensor | float, norm: Norm, scope: Scope) -> Tensor:
    """Scales ``delta`` to the length of the radius, however short it is: the rule of the released code.

    Not a projection: it makes a perturbation of 1e-5 as long as one of 10, so that the first noise decides.
    """
    return delta * (radius / (norm_of(delta, norm, scope) + RELEASED_GUARD))


def unit_direction(gradient: Tensor, norm: Norm, scope: Scope) -> Tensor:
    """Direction of a gradient, ``gradient / ‖gradient‖``; zero where the gradient is zero."""
    # Scaled by its largest coordinate first: the squares of a gradient of 1e-23 vanish in fp32.
    tiny = torch.finfo(gradient.dtype).tiny
    scaled = gradient / norm_of(gradient, "linf", scope).clamp_min(tiny)
    return scaled / norm_of(scaled, norm, scope).clamp_min(tiny)


def embedding_scale(embeddings: Tensor, mask: Tensor, norm: Norm, scope: Scope) -> Tensor:
    """Size of the embedding vectors of each sequence, ``[batch, 1, 1]``: the unit of a relative radius.

    L2: the mean norm of a sequence's unmasked token vectors, or with scope ``"sequence"`` the norm of all of them
    together. L∞: the root mean square of their coordinates. Taken within each sequence, so that an example's
    perturbation does not depend on the batch that it came in.
    """
    kept = embeddings.detach().float() * mask.unsqueeze(-1)
    count = mask.sum(dim=-1).clamp_min(1).view(-1, 1, 1)
    if norm == "linf":
        return (kept.square().sum(dim=(-2, -1), keepdim=True) / (count * kept.shape[-1])).sqrt()
    if scope == "sequence":
        return norm_of(kept, norm, scope)
    return norm_of(kept, norm, scope).sum(dim=-2, keepdim=True) / count
