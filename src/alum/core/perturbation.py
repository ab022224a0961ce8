"""Inner maximisation of ALUM: lines 4 to 9 of Algorithm 1 (arXiv:2004.08994)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from alum.core.method_settings import Method
from alum.core.projections import embedding_scale, norm_of, project_onto_ball, rescale_to_sphere, unit_direction
from alum.core.randomness.row_noise import RandomSource, RowNoise


@dataclass(frozen=True)
class Perturbation:
    """A perturbation ``delta`` ``[batch, length, hidden]`` in fp32, zero outside the mask.

    ``finite`` is False, and ``delta`` zero, where a gradient on the way was infinite or not a number. It is a tensor:
    reading it would make the device wait.
    """

    delta: Tensor
    finite: Tensor


def worst_case_perturbation(
    objective: Callable[[Tensor], Tensor],
    embeddings: Tensor,
    mask: Tensor,
    method: Method,
    first_gradient: Tensor | None = None,
    generator: RandomSource = None,
) -> Perturbation:
    """Maximises ``objective(δ)`` over δ in the ball by ``method.num_steps`` steps of projected gradient ascent.

    ``embeddings`` are ``[batch, length, hidden]``, ``mask`` ``[batch, length]`` is True where δ may be non-zero, and
    ``objective`` is a scalar: the sum over examples, so that an example's δ does not depend on its batch.
    ``first_gradient`` is ∇_δ objective at δ = 0 where the caller has it already (one-pass ALUM).
    """
    delta, radius = first_perturbation(embeddings, mask, method, generator)  # δ ~ N(0, σ²I)
    mask = mask.bool().unsqueeze(-1)
    finite = torch.tensor(True, device=delta.device)
    for step in range(method.num_steps):  # for m = 1 … K
        given = first_gradient if step == 0 else None
        gradient = gradient_at(objective, delta) if given is None else given  # g_adv ← ∇_δ D(f(x + δ), f(x))
        gradient = torch.where(mask, gradient.float(), 0.0)
        finite = finite & gradient.isfinite().all()
        delta = ascended(delta, torch.where(finite, gradient, 0.0), radius, method) * mask  # δ ← Π(δ + η g_adv)
    if method.num_steps == 0 and method.init_std > 0:
        delta = _project(delta, radius, method) * mask
    return Perturbation(torch.where(finite, delta, 0.0), finite)


def first_perturbation(
    embeddings: Tensor, mask: Tensor, method: Method, generator: RandomSource = None
) -> tuple[Tensor, Tensor]:
    """δ that the ascent starts from, and the radius of its ball, ``[batch, 1, 1]``."""
    unit = embedding_scale(embeddings, mask.bool(), method.norm, method.scope)
    if method.epsilon_unit == "absolute":
        unit = torch.ones_like(unit)
    radius = method.epsilon * unit
    delta = torch.zeros_like(embeddings, dtype=torch.float32)
    if method.init_std > 0:
        delta = _start(delta, radius, mask.bool().unsqueeze(-1), method, generator)
    return delta, radius


def ascended(delta: Tensor, gradient: Tensor, radius: Tensor, method: Method) -> Tensor:
    """δ after one step along a gradient, in its ball."""
    return _project(delta + _step(gradient, radius, method), radius, method)


def further_ascent(
    objective: Callable[[Tensor], Tensor],
    delta: Tensor,
    embeddings: Tensor,
    mask: Tensor,
    method: Method,
    num_steps: int,
) -> Iterator[Tensor]:
    """Yields δ after each of some more steps from ``delta`` on, of half the radius each, within the method's ball."""
    _, radius = first_perturbation(embeddings, mask, replace(method, init_std=0.0))
    for _ in range(num_steps):
        gradient = torch.where(mask.bool().unsqueeze(-1), gradient_at(objective, delta).float(), 0.0)
        direction = unit_direction(gradient, "l2", method.scope) if method.norm == "l2" else gradient.sign()
        delta = project_onto_ball(delta + radius / 2 * direction, radius, method.norm, method.scope)
        yield delta


def _start(like: Tensor, radius: Tensor, mask: Tensor, method: Method, generator: RandomSource) -> Tensor:
    """Noise whose size is a share of the radius, however many coordinates a ball has."""
    share = method.init_std * radius
    if method.norm == "l2":
        num_vectors = mask.sum(-2, keepdim=True).clamp_min(1) if method.scope == "sequence" else 1
        share = share / (like.shape[-1] * num_vectors) ** 0.5
    draw = _standard_normal if method.init_noise == "normal" else _standard_uniform
    return share * draw(like, generator) * mask


def random_perturbation_like(delta: Tensor, generator: RandomSource = None) -> Tensor:
    """Random perturbation that is as long in L2 at each token as ``delta`` is."""
    return unit_direction(_standard_normal(delta, generator), "l2", "token") * norm_of(delta, "l2", "token")


def _standard_normal(like: Tensor, generator: RandomSource) -> Tensor:
    if isinstance(generator, RowNoise):
        return generator.normal(like.shape[-1])
    return torch.randn(like.shape, generator=generator, device=like.device)


def _standard_uniform(like: Tensor, generator: RandomSource) -> Tensor:
    """Of mean 0 and variance 1: between ±√3."""
    if isinstance(generator, RowNoise):
        between_0_and_1 = generator.uniform(like.shape[-1])
    else:
        between_0_and_1 = torch.rand(like.shape, generator=generator, device=like.device)
    return (2 * between_0_and_1 - 1) * 3**0.5


def gradient_at(objective: Callable[[Tensor], Tensor], delta: Tensor) -> Tensor:
    """Gradient of a scalar objective at δ, computed at a scale at which half precision does not lose it."""
    delta = delta.detach().requires_grad_()
    with torch.enable_grad():
        value = objective(delta)
    # Autocast chose the precision of each operation in the forward pass; the backward pass must not choose again.
    with torch.enable_grad(), torch.autocast(delta.device.type, enabled=False):
        # D is of second order in δ and its gradient too small for fp16: a power of two brings it to the order of 1. The
        # gradient of a loss of zero is no smaller than `kept_from_vanishing` makes it, which 2³⁰ leaves finite in fp16.
        exponent = -torch.log2(value.detach().abs().clamp_min(2.0**-30)).floor().nan_to_num(0.0, 0.0, 0.0)
        (gradient,) = torch.autograd.grad(torch.ldexp(value, exponent), delta)
    return torch.ldexp(gradient, -exponent)


def _step(gradient: Tensor, radius: Tensor, method: Method) -> Tensor:
    if method.step_rule == "raw":
        return method.step_size * gradient
    normalized = method.step_rule == "normalized"
    direction = unit_direction(gradient, method.norm, method.scope) if normalized else gradient.sign()
    return method.step_size * radius * direction


def _project(delta: Tensor, radius: Tensor, method: Method) -> Tensor:
    rule = project_onto_ball if method.projection == "ball" else rescale_to_sphere
    return rule(delta, radius, method.norm, method.scope)
