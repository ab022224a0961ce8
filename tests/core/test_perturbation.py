"""The ascent on models whose maximiser is known, and against restatements of the paper's and the released rule."""

import copy
import dataclasses

import pytest
import torch
import torch.nn.functional as F

from alum.core.method_settings import Method
from alum.core.methods import METHODS, method_named
from alum.core.outputs.output_gradients import zero_with_gradient
from alum.core.outputs.task_gradient import SURE
from alum.core.perturbation import gradient_at, random_perturbation_like, worst_case_perturbation

EPSILON = 0.3
X = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
W = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(1))
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [0, 1, 1, 1]]).bool()


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def method(**settings) -> Method:
    base = method_named("alum", epsilon=EPSILON, epsilon_unit="absolute", init_std=0.0)
    return dataclasses.replace(base, **settings)


def linear(delta):
    return (W * (X + delta)).sum()


# -- linear task loss wᵀ(x + δ): the maximiser is known ----------------------------------------------------------------


def test_l2_token_ball_on_a_linear_loss():
    found = worst_case_perturbation(linear, X, MASK, method())
    expected = EPSILON * W / W.norm(dim=-1, keepdim=True) * MASK.unsqueeze(-1)
    torch.testing.assert_close(found.delta, expected)


def test_l2_sequence_ball_on_a_linear_loss():
    found = worst_case_perturbation(linear, X, MASK, method(scope="sequence"))
    kept = W * MASK.unsqueeze(-1)
    torch.testing.assert_close(found.delta, EPSILON * kept / kept.norm(dim=(1, 2), keepdim=True))


@pytest.mark.parametrize("scope", ["token", "sequence"])
def test_linf_ball_on_a_linear_loss_is_the_sign(scope):
    found = worst_case_perturbation(linear, X, MASK, method(norm="linf", scope=scope, step_rule="sign"))
    torch.testing.assert_close(found.delta, EPSILON * W.sign() * MASK.unsqueeze(-1))


def test_a_raw_step_is_eta_times_the_gradient():
    found = worst_case_perturbation(linear, X, MASK, method(step_rule="raw", step_size=1e-3))
    torch.testing.assert_close(found.delta, 1e-3 * W * MASK.unsqueeze(-1))


def test_small_steps_from_noise_also_reach_the_maximiser():
    start = method(init_std=0.1, num_steps=30, step_size=0.3)
    found = worst_case_perturbation(linear, X, MASK, start, generator=generator())
    torch.testing.assert_close(found.delta, worst_case_perturbation(linear, X, MASK, method()).delta, atol=2e-3, rtol=0)


def test_a_gradient_that_is_given_saves_the_pass():
    def never(delta):
        raise AssertionError("the objective was evaluated")

    found = worst_case_perturbation(never, X, MASK, method(), first_gradient=7 * W)
    torch.testing.assert_close(found.delta, worst_case_perturbation(linear, X, MASK, method()).delta)


# -- random start ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["token", "sequence"])
@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize(("length", "width"), [(4, 32), (64, 512)])
def test_the_start_is_a_share_of_the_radius_however_large_the_ball_is(norm, scope, length, width):
    embeddings, mask = torch.zeros(200, length, width), torch.ones(200, length)
    mask[:, length // 2 :] = 0
    noise = method(norm=norm, scope=scope, init_std=0.1, num_steps=0)
    start = worst_case_perturbation(linear, embeddings, mask, noise, generator=generator()).delta[mask.bool()]
    start = start.view(200, length // 2, width)
    if norm == "linf":
        assert start.std().item() == pytest.approx(0.1 * EPSILON, rel=0.02)
    else:
        size = start.square().sum((-1, -2) if scope == "sequence" else -1).mean().sqrt()
        assert size.item() == pytest.approx(0.1 * EPSILON, rel=0.02)


def test_uniform_coordinates_have_the_same_standard_deviation():
    noise = method(norm="linf", init_std=0.1, init_noise="uniform", num_steps=0)
    embeddings = torch.zeros(200, 4, 32)
    start = worst_case_perturbation(linear, embeddings, torch.ones(200, 4), noise, generator=generator()).delta
    assert start.std().item() == pytest.approx(0.1 * EPSILON, rel=0.02)
    largest = start.abs().max().item()
    assert largest == pytest.approx(3**0.5 * 0.1 * EPSILON, rel=1e-3)  # as wide as no normal one would stay


# -- quadratic divergence δᵀAδ: the maximiser is the dominant eigenvector ----------------------------------------------


def test_power_iteration_on_a_quadratic_divergence_finds_the_dominant_eigenvector():
    root = torch.randn(5, 5, generator=generator(2))
    matrix = root @ root.T
    found = worst_case_perturbation(
        lambda delta: torch.einsum("bth,hk,btk->", delta, matrix, delta),
        X,
        MASK,
        method(init_std=1e-3, num_steps=60),
        generator=generator(),
    )
    dominant = torch.linalg.eigh(matrix).eigenvectors[:, -1]
    # Each token finds ±ε·v₁: its part along v₁ is all of it.
    torch.testing.assert_close((found.delta @ dominant).abs(), EPSILON * MASK.float(), rtol=1e-4, atol=1e-6)


def test_from_zero_a_divergence_gives_no_direction():
    found = worst_case_perturbation(lambda delta: delta.square().sum(), X, MASK, method())
    assert (found.delta == 0).all()
    assert found.finite


# -- any objective -----------------------------------------------------------------------------------------------------


def curved(delta):
    return (torch.sin(3 * (X + delta)) * W).cumsum(dim=-1).tanh().sum()


def test_the_step_goes_along_the_gradient_of_finite_differences():
    found = worst_case_perturbation(curved, X, MASK, method(scope="sequence"))
    step = 1e-2
    differences = torch.zeros_like(X)
    for index in MASK.nonzero().tolist():
        for coordinate in range(X.shape[-1]):
            unit = torch.zeros_like(X)
            unit[(*index, coordinate)] = step
            differences[(*index, coordinate)] = (curved(unit) - curved(-unit)) / (2 * step)
    cosine = F.cosine_similarity(found.delta.flatten(1), differences.flatten(1))
    torch.testing.assert_close(cosine, torch.ones(3), atol=1e-3, rtol=0)


SETTINGS = [
    {"norm": norm, "scope": scope, "step_rule": rule, "init_std": 0.3, "num_steps": steps, "epsilon_unit": unit}
    for norm in ("l2", "linf")
    for scope in ("token", "sequence")
    for rule in ("normalized", "sign", "raw")
    for steps in (0, 2)
    for unit in ("relative", "absolute")
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(map(str, s.values())))
def test_delta_stays_in_its_ball_and_off_the_padding(settings):
    found = worst_case_perturbation(curved, X, MASK, method(**settings), generator=generator())
    assert (found.delta[~MASK] == 0).all()
    assert found.delta.abs().sum() > 0
    radius = torch.full((3,), EPSILON)
    kept = [x[m] for x, m in zip(X, MASK, strict=True)]
    if settings["epsilon_unit"] == "relative":
        units = {
            ("l2", "token"): lambda x: x.norm(dim=-1).mean(),
            ("l2", "sequence"): lambda x: x.norm(),
        }
        unit = units.get((settings["norm"], settings["scope"]), lambda x: x.square().mean().sqrt())
        radius *= torch.stack([unit(x) for x in kept])
    vectors = found.delta if settings["scope"] == "token" else found.delta.flatten(1).unsqueeze(1)
    lengths = vectors.norm(dim=-1) if settings["norm"] == "l2" else vectors.abs().amax(-1)
    assert (lengths <= radius.unsqueeze(-1) * (1 + 1e-5)).all()


@pytest.mark.parametrize("scope", ["token", "sequence"])
def test_an_examples_delta_does_not_depend_on_its_batch(scope):
    together = worst_case_perturbation(curved, X, MASK, method(scope=scope, epsilon_unit="relative"))
    for row in range(3):

        def alone(delta, row=row):
            everywhere = torch.zeros_like(X)
            return curved(torch.cat((everywhere[:row], delta, everywhere[row + 1 :])))

        found = worst_case_perturbation(alone, X[[row]], MASK[[row]], method(scope=scope, epsilon_unit="relative"))
        torch.testing.assert_close(found.delta, together.delta[[row]])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_gives_delta_zero(bad):
    found = worst_case_perturbation(lambda delta: (delta * bad).sum(), X, MASK, method(init_std=0.1, num_steps=2))
    assert not found.finite
    assert found.delta.shape == X.shape
    assert (found.delta == 0).all()


def test_an_infinite_gradient_on_padding_alone_is_nobodys_business():
    weights = W.masked_fill(~MASK.unsqueeze(-1), float("inf"))
    found = worst_case_perturbation(lambda delta: (delta * weights).sum(), X, MASK, method())
    assert found.finite
    torch.testing.assert_close(found.delta, worst_case_perturbation(linear, X, MASK, method()).delta)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_delta_is_fp32_whatever_the_embeddings_are(dtype):
    assert worst_case_perturbation(linear, X.to(dtype), MASK, method()).delta.dtype == torch.float32


def test_the_gradient_at_a_loss_of_zero_is_finite_in_half_precision():
    """Where the model is sure of every row, what is added there is left of the gradient, in a batch of one too."""
    added = torch.full((4,), SURE)

    def objective(delta):
        return zero_with_gradient(delta.half(), lambda factor: (factor * added).half())

    torch.testing.assert_close(gradient_at(objective, torch.zeros(4)), added)


def test_noise_on_padding_takes_no_share_of_the_radius():
    noise = dataclasses.replace(METHODS["noise"], epsilon=EPSILON, epsilon_unit="absolute", scope="sequence")
    found = worst_case_perturbation(linear, X, MASK, noise, generator=generator())
    torch.testing.assert_close(found.delta.norm(dim=(1, 2)), torch.full((3,), EPSILON))


def test_noise_without_ascent_comes_from_the_generator_and_is_stretched():
    noise = dataclasses.replace(METHODS["noise"], epsilon=EPSILON, epsilon_unit="absolute")
    found = worst_case_perturbation(linear, X, MASK, noise, generator=generator())
    drawn = torch.randn(X.shape, generator=generator())
    torch.testing.assert_close(found.delta, EPSILON * drawn / drawn.norm(dim=-1, keepdim=True) * MASK.unsqueeze(-1))


def test_random_perturbations_are_as_long_as_delta_token_by_token():
    delta = W * MASK.unsqueeze(-1)
    random = random_perturbation_like(delta, generator())
    torch.testing.assert_close(random.norm(dim=-1), delta.norm(dim=-1))
    assert F.cosine_similarity(random[MASK], delta[MASK], dim=-1).abs().max() < 0.95


# -- the paper and the released code, restated -------------------------------------------------------------------------


@pytest.fixture
def divergence():
    """Symmetric KL, summed over the batch, of a small network at X + δ against X."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(20, 16), torch.nn.Tanh(), torch.nn.Linear(16, 3))
    clean = F.log_softmax(copy.deepcopy(network)(X).detach(), dim=-1)

    def symmetric_kl(delta):
        adversarial = F.log_softmax(network(X + delta), dim=-1)
        forth = F.kl_div(adversarial, clean, log_target=True, reduction="sum")
        return forth + F.kl_div(clean, adversarial, log_target=True, reduction="sum")

    return symmetric_kl


def gradient_of(function, at):
    at = at.clone().requires_grad_()
    return torch.autograd.grad(function(at), at)[0]


EVERYWHERE = torch.ones_like(MASK)


def test_alum_released_is_the_released_rule(divergence):
    noise = torch.randn(X.shape, generator=generator()) * 1e-5
    noise = noise + 1e-5 * gradient_of(divergence, noise)
    noise = noise / (noise.abs().amax(-1, keepdim=True) + 1e-6)
    found = worst_case_perturbation(divergence, X, EVERYWHERE, METHODS["alum_released"], generator=generator())
    torch.testing.assert_close(found.delta, noise)


def test_alum_paper_is_algorithm_1(divergence):
    delta = torch.randn(X.shape, generator=generator()) * 1e-5
    delta = (delta + 1e-3 * gradient_of(divergence, delta)).clamp(-1e-5, 1e-5)
    found = worst_case_perturbation(divergence, X, EVERYWHERE, METHODS["alum_paper"], generator=generator())
    torch.testing.assert_close(found.delta, delta, rtol=1e-5, atol=1e-12)


def test_r3f_is_the_published_noise(divergence):
    found = worst_case_perturbation(divergence, X, EVERYWHERE, METHODS["r3f"], generator=generator())
    noise = torch.distributions.Uniform(-1e-5, 1e-5)
    torch.testing.assert_close(found.delta, noise.icdf(torch.rand(X.shape, generator=generator())))


def test_the_default_adversary_is_stronger_than_noise_of_the_same_length(divergence):
    found = worst_case_perturbation(divergence, X, EVERYWHERE, METHODS["alum"], generator=generator())
    noise = [divergence(random_perturbation_like(found.delta, generator(seed))).item() for seed in range(20)]
    assert divergence(found.delta).item() > max(noise)


def test_a_gradient_too_small_for_half_precision_keeps_its_direction():
    # Half precision ends at 6e-8; this objective's gradient is a thousandth of that, but its value is known in fp32.
    weights = 1e-11 * torch.randn(X.shape, generator=torch.Generator().manual_seed(3))

    class HalfPrecisionBackward(torch.autograd.Function):
        @staticmethod
        def forward(ctx, delta):
            return delta.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient.half().float()

    def objective(delta):
        return (HalfPrecisionBackward.apply(delta) * weights).sum() + 1e-11

    found = worst_case_perturbation(objective, X, MASK, method())
    expected = torch.nn.functional.normalize(weights, dim=-1)
    cosine = (torch.nn.functional.normalize(found.delta, dim=-1) * expected).sum(-1)[MASK]
    assert cosine.min() > 0.99
