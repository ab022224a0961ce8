import math

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy

from alum.core.divergences import bernoulli_symmetric_kl, labelled, squared_error, symmetric_kl

SHAPES = [(5,), (3, 5), (2, 3, 5)]
ALL = [symmetric_kl, bernoulli_symmetric_kl, squared_error]


def pair(shape=(4, 5), scale=2.0):
    generator = torch.Generator().manual_seed(0)
    return scale * torch.randn(2, *shape, generator=generator)


def scipy_kl(logits_p, logits_q):
    return entropy(softmax(logits_p.double().numpy(), -1), softmax(logits_q.double().numpy(), -1), axis=-1)


@pytest.mark.parametrize("shape", SHAPES)
def test_symmetric_kl_is_the_sum_of_both_directions(shape):
    p, q = pair(shape)
    np.testing.assert_allclose(symmetric_kl(p, q), scipy_kl(p, q) + scipy_kl(q, p), rtol=1e-5)


def test_bernoulli_is_the_sum_of_two_class_divergences():
    p, q = pair((3, 4))
    two_class = sum(
        symmetric_kl(torch.stack((p[:, i], 0 * p[:, i]), -1), torch.stack((q[:, i], 0 * q[:, i]), -1)) for i in range(4)
    )
    torch.testing.assert_close(bernoulli_symmetric_kl(p, q), two_class)


def test_bernoulli_of_one_label_by_hand():
    # Odds 3:1 against 1:1: (3/4 - 1/2)·log 3.
    divergence = bernoulli_symmetric_kl(torch.tensor([math.log(3.0)]), torch.tensor([0.0]))
    assert divergence.item() == pytest.approx(0.25 * math.log(3))


def test_squared_error_by_hand():
    assert squared_error(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -1.0]])).tolist() == [4.0 + 9.0]


@pytest.mark.parametrize("divergence", ALL)
def test_zero_between_equals_and_positive_between_others(divergence):
    p, q = pair()
    torch.testing.assert_close(divergence(p, p), torch.zeros(4))
    assert (divergence(p, q) > 0).all()


@pytest.mark.parametrize("divergence", ALL)
def test_the_gradient_is_that_of_finite_differences(divergence):
    # No gradcheck: the divergences work in fp32 whatever comes in, so the differences are taken in large steps.
    p, q = pair((1, 4), scale=1.0)
    p.requires_grad_()
    (gradient,) = torch.autograd.grad(divergence(p, q).sum(), p)
    step = 1e-2
    for i, unit in enumerate(torch.eye(4)):
        with torch.no_grad():
            difference = (divergence(p + step * unit, q) - divergence(p - step * unit, q)) / (2 * step)
        assert gradient[0, i].item() == pytest.approx(difference.item(), abs=2e-4)


def test_both_sides_of_symmetric_kl_get_the_gradient_of_the_written_out_formula():
    p, q = pair((2, 3, 7)).double().requires_grad_().unbind()
    log_p, log_q = p.log_softmax(-1), q.log_softmax(-1)
    weights = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]])
    written_out = ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(-1)
    expected = torch.autograd.grad((weights * written_out).sum(), (p, q), retain_graph=True)
    gradients = torch.autograd.grad((weights * symmetric_kl(p, q)).sum(), (p, q))
    torch.testing.assert_close(gradients, expected, rtol=1e-5, atol=1e-6)


def test_the_small_divergences_that_an_adversary_starts_from_keep_their_digits():
    p, noise = pair((50, 10))
    q = p + 1e-3 * noise
    np.testing.assert_allclose(symmetric_kl(p, q), scipy_kl(p, q) + scipy_kl(q, p), rtol=5e-3)


@pytest.mark.parametrize("divergence", ALL)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_masked_counts_nothing_and_spoils_nothing(divergence, value):
    p, q = pair((2, 3, 4))
    expected = divergence(p, q)
    p[:, 1] = value
    p.requires_grad_()
    mask = torch.tensor([[True, False, True]]).expand(2, 3)
    masked = divergence(p, q, mask)
    assert (masked[:, 1] == 0).all()
    torch.testing.assert_close(masked[mask], expected[mask])
    (gradient,) = torch.autograd.grad(masked.sum(), p)
    assert gradient.isfinite().all()
    assert (gradient[:, 1] == 0).all()


@pytest.mark.parametrize("divergence", ALL)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_compared_in_fp32(divergence, dtype):
    p, q = pair().to(dtype)
    assert divergence(p, q).dtype == torch.float32
    torch.testing.assert_close(divergence(p, q), divergence(p.float(), q.float()), rtol=0, atol=0)


@pytest.mark.parametrize(("dtype", "digits"), [(torch.bfloat16, 2**-7), (torch.float16, 2**-9)])
@pytest.mark.parametrize("size", [1e-3, 0.3])
def test_half_precision_logits_get_a_gradient_that_loses_nothing_small(dtype, digits, size):
    # Its largest values are 1e-7 for the smaller size, near fp16's smallest number, before the loss's scale.
    p, noise = pair((6, 3000))
    p, q = p.to(dtype), (p + size * noise).to(dtype)
    p, q = (logits.requires_grad_() for logits in (p, q))
    scale = 2.0**14
    found = torch.autograd.grad(symmetric_kl(p, q).sum() * scale, (p, q))
    exact = [logits.detach().double().requires_grad_() for logits in (p, q)]
    log_p, log_q = (logits.log_softmax(-1) for logits in exact)
    written_out = ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum()
    for gradient, expected in zip(found, torch.autograd.grad(written_out * scale, exact), strict=True):
        assert gradient.dtype == dtype
        error = (gradient.double() - expected).norm(dim=-1) / expected.norm(dim=-1)
        assert (error < digits).all()


def test_labelled_positions():
    assert labelled(torch.tensor([[5, -100], [-100, 0]])).tolist() == [[True, False], [False, True]]


def test_many_rows_are_as_few():
    """More of them than are worked on at a time, against autograd through the definition, in double precision."""
    generator = torch.Generator().manual_seed(0)
    p, q = (torch.randn(1500, 401, generator=generator).requires_grad_() for _ in range(2))
    weights = torch.rand(1500, generator=generator)
    assert p.numel() > 2 * 2**18
    value = symmetric_kl(p, q)
    (value * weights).sum().backward()
    exact_p, exact_q = (logits.detach().double().requires_grad_() for logits in (p, q))
    log_p, log_q = exact_p.log_softmax(-1), exact_q.log_softmax(-1)
    expected = ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(-1)
    (expected * weights.double()).sum().backward()
    torch.testing.assert_close(value, expected.float(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(p.grad, exact_p.grad.float(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(q.grad, exact_q.grad.float(), rtol=1e-5, atol=1e-6)
