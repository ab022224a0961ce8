import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from alum.core.projections import embedding_scale, norm_of, project_onto_ball, rescale_to_sphere, unit_direction

CASES = [(norm, scope) for norm in ("l2", "linf") for scope in ("token", "sequence")]


def perturbation(seed=0, shape=(3, 4, 5)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def numpy_norm(delta, norm, scope):
    order = 2 if norm == "l2" else np.inf
    vectors = delta.numpy() if scope == "token" else delta.numpy().reshape(len(delta), 1, -1)
    return np.linalg.norm(vectors, ord=order, axis=-1, keepdims=True)


@pytest.mark.parametrize(("norm", "scope"), CASES)
def test_norms_are_numpys(norm, scope):
    np.testing.assert_allclose(norm_of(perturbation(), norm, scope), numpy_norm(perturbation(), norm, scope), rtol=1e-6)


@pytest.mark.parametrize(("norm", "scope"), CASES)
@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_every_projection_lies_in_its_ball(norm, scope, scale):
    radius = torch.tensor([0.5, 1.0, 2.0]).view(3, 1, 1)
    projected = project_onto_ball(scale * perturbation(), radius, norm, scope)
    assert (numpy_norm(projected, norm, scope) <= radius.numpy() * (1 + 1e-6)).all()


@pytest.mark.parametrize(("norm", "scope"), CASES)
def test_what_lies_in_the_ball_stays(norm, scope):
    inside = 1e-3 * perturbation()
    torch.testing.assert_close(project_onto_ball(inside, 1.0, norm, scope), inside, rtol=0, atol=0)


@pytest.mark.parametrize(("norm", "scope"), CASES)
def test_the_projection_is_the_nearest_point_that_an_optimiser_finds(norm, scope):
    delta, radius = perturbation(seed=3, shape=(1, 2, 2)), 0.7
    start = 0.1 * np.ones(4)
    slack = {
        ("l2", "sequence"): lambda x: radius**2 - np.sum(x**2, keepdims=True),
        ("l2", "token"): lambda x: radius**2 - np.sum(x.reshape(2, 2) ** 2, axis=-1),
    }.get((norm, scope), lambda x: np.concatenate((radius - x, radius + x)))
    nearest = minimize(
        lambda x: np.sum((x - delta.double().numpy().ravel()) ** 2),
        start,
        method="SLSQP",
        constraints={"type": "ineq", "fun": slack},
        options={"ftol": 1e-14},
    ).x
    projected = project_onto_ball(delta, radius, norm, scope)
    np.testing.assert_allclose(projected.numpy().ravel(), nearest, atol=1e-5)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_zero_is_projected_onto_zero(norm):
    assert (project_onto_ball(torch.zeros(1, 2, 3), 1.0, norm, "token") == 0).all()


def test_rescaling_is_the_released_rule():
    delta = torch.cat((1e-5 * perturbation(), 1e5 * perturbation()))
    released = delta / (delta.abs().max(dim=-1, keepdim=True).values + 1e-6)
    torch.testing.assert_close(rescale_to_sphere(delta, 1.0, "linf", "token"), released)


@pytest.mark.parametrize(("norm", "scope"), CASES)
def test_rescaling_stretches_to_the_sphere(norm, scope):
    rescaled = rescale_to_sphere(perturbation(), 3.0, norm, scope)
    np.testing.assert_allclose(numpy_norm(rescaled, norm, scope), 3.0, rtol=1e-5)


@pytest.mark.parametrize(("norm", "scope"), CASES)
@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30])
def test_directions_have_length_one_at_any_scale_of_the_gradient(norm, scope, scale):
    direction = unit_direction(scale * perturbation(), norm, scope)
    np.testing.assert_allclose(numpy_norm(direction, norm, scope), 1.0, rtol=1e-5)
    torch.testing.assert_close(direction, unit_direction(perturbation(), norm, scope))


@pytest.mark.parametrize(("norm", "scope"), CASES)
def test_no_gradient_gives_no_direction(norm, scope):
    assert (unit_direction(torch.zeros(2, 3, 4), norm, scope) == 0).all()


EMBEDDINGS = torch.tensor([[[3.0, 4.0], [0.0, 1.0], [100.0, 100.0]]])
MASK = torch.tensor([[True, True, False]])


@pytest.mark.parametrize(
    ("norm", "scope", "expected"),
    [
        ("l2", "token", (5 + 1) / 2),
        ("l2", "sequence", (9 + 16 + 0 + 1) ** 0.5),
        ("linf", "token", ((9 + 16 + 0 + 1) / 4) ** 0.5),
        ("linf", "sequence", ((9 + 16 + 0 + 1) / 4) ** 0.5),
    ],
)
def test_relative_units_by_hand(norm, scope, expected):
    scale = embedding_scale(EMBEDDINGS, MASK, norm, scope)
    assert scale.shape == (1, 1, 1)
    assert scale.item() == pytest.approx(expected)


@pytest.mark.parametrize(("norm", "scope"), CASES)
def test_a_sequence_of_padding_alone_has_scale_zero(norm, scope):
    assert embedding_scale(EMBEDDINGS, torch.zeros_like(MASK), norm, scope).item() == 0
