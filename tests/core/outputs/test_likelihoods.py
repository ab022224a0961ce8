"""Losses at labels of the model's own, against the distributions written out in double precision."""

import pytest
import torch
import torch.nn.functional as F

from alum.core.outputs.likelihoods import BERNOULLI, CATEGORICAL, GAUSSIAN, TOKENS

LIKELIHOODS = {"categorical": CATEGORICAL, "tokens": TOKENS, "bernoulli": BERNOULLI, "gaussian": GAUSSIAN}


def outputs(shape, scale=1.0):
    return (scale * torch.randn(shape, generator=torch.Generator().manual_seed(0))).requires_grad_()


def written_out(name, logits, labels):
    """-log p, ``[items]``."""
    if name == "gaussian":
        loss = -torch.distributions.Normal(logits, 1.0).log_prob(labels)
    elif name == "bernoulli":
        loss = -torch.distributions.Bernoulli(logits=logits).log_prob(labels)
    else:
        loss = -torch.distributions.Categorical(logits=logits).log_prob(labels)
    return loss.flatten(1).sum(-1) if loss.dim() > 1 else loss


def gradient_directions(loss, outputs):
    (gradient,) = torch.autograd.grad(loss.sum(), outputs)
    return F.normalize(gradient.double().flatten(1), dim=-1)


SHAPES = {"categorical": [(6, 4), (6, 2, 9)], "tokens": [(6, 9)], "bernoulli": [(6, 5)], "gaussian": [(6, 1)]}
CASES = [(name, shape) for name, shapes in SHAPES.items() for shape in shapes]


@pytest.mark.parametrize(("name", "shape"), CASES)
@pytest.mark.parametrize("drawn", [False, True])
def test_the_gradient_points_where_that_of_the_negative_log_probability_does(name, shape, drawn):
    likelihood, values = LIKELIHOODS[name], outputs(shape)
    labels = likelihood.predicted(values)
    if drawn:
        labels = likelihood.sampled(values, torch.Generator().manual_seed(0))
    found = gradient_directions(likelihood.loss(values, labels), values)
    exact = values.detach().double().requires_grad_()
    torch.testing.assert_close(found, gradient_directions(written_out(name, exact, labels), exact))


@pytest.mark.parametrize(("name", "shape"), [case for case in CASES if case[0] in ("categorical", "bernoulli")])
def test_a_model_that_is_sure_still_has_a_gradient(name, shape):
    # 1 - p of its labels is far below fp32's smallest, and in fp64 the exact direction needs a common factor.
    likelihood, sure = LIKELIHOODS[name], outputs(shape, scale=300.0)
    loss = likelihood.loss(sure, likelihood.predicted(sure))
    (gradient,) = torch.autograd.grad(loss.sum(), sure)
    assert gradient.isfinite().all()
    assert (gradient.flatten(1).norm(dim=-1) > 0.5).all()
    (vanished,) = torch.autograd.grad(written_out(name, sure, likelihood.predicted(sure)).sum(), sure)
    assert (vanished.flatten(1).norm(dim=-1) == 0).any()  # the plain loss has none


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_the_loss_at_tokens_is_the_cross_entropy(dtype):
    """More of them than are worked on at a time, against the definition in double precision."""
    values = outputs((700, 401), scale=3.0).detach().to(dtype).requires_grad_()
    labels = torch.randint(401, (700,), generator=torch.Generator().manual_seed(1))
    weights = torch.rand(700, generator=torch.Generator().manual_seed(2))
    assert values.numel() > 2**18
    exact = values.detach().double().requires_grad_()
    expected = -exact.log_softmax(-1)[torch.arange(700), labels]
    loss = TOKENS.loss(values, labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected.float(), rtol=1e-5, atol=1e-5)
    (gradient,) = torch.autograd.grad((loss * weights).sum(), values)
    (expected_gradient,) = torch.autograd.grad((expected * weights).sum(), exact)
    # In half precision as near as its last digit.
    relative, smallest = {torch.bfloat16: (2**-7, 0), torch.float16: (2**-10, 1e-7)}.get(dtype, (1e-4, 1e-7))
    torch.testing.assert_close(gradient, expected_gradient.to(dtype), rtol=relative, atol=smallest)


def test_the_gradient_at_a_token_that_is_all_but_sure_sums_to_zero():
    values = torch.tensor([[30.0, 1.0, 0.5]], requires_grad=True)  # 1 - p is 4e-13
    (gradient,) = torch.autograd.grad(TOKENS.loss(values, torch.tensor([0])), values)
    exact = values.detach().double().requires_grad_()
    others = exact.softmax(-1)[0, 1:].detach()
    torch.testing.assert_close(gradient[0].double(), torch.stack((-others.sum(), *others)), rtol=1e-5, atol=0)


def test_tokens_are_drawn_in_parts_from_each_ones_own_distribution():
    sure = 50.0 * F.one_hot(torch.arange(1500) % 401, 401)
    assert sure.numel() > 2 * 2**18
    assert torch.equal(TOKENS.sampled(sure, torch.Generator().manual_seed(0)), torch.arange(1500) % 401)


def test_parts_of_an_item_weigh_by_their_errors():
    # Logits near 20: 1 - p is 1e-9 to 1e-8, which fp64 resolves and fp32 does not.
    values = outputs((5, 2, 3)) + 20.0 * F.one_hot(torch.zeros(5, 2, dtype=torch.long), 3)
    values = values.detach().requires_grad_()
    exact = values.detach().double().requires_grad_()
    labels = CATEGORICAL.predicted(values)
    found = gradient_directions(CATEGORICAL.loss(values, labels), values)
    expected = gradient_directions(written_out("categorical", exact, labels), exact)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_predicted_labels_are_the_likeliest():
    values = outputs((50, 2, 7))
    assert torch.equal(CATEGORICAL.predicted(values), values.softmax(-1).max(-1).indices)
    yes = outputs((50, 4))
    assert torch.equal(BERNOULLI.predicted(yes), (yes.sigmoid() > 0.5).float())


@pytest.mark.parametrize("name", ["categorical", "bernoulli"])
def test_sampled_labels_have_the_models_probabilities(name):
    few = outputs((2, 4))
    values = few.detach().repeat(20_000, 1)
    labels = LIKELIHOODS[name].sampled(values, torch.Generator().manual_seed(0))
    if name == "categorical":
        labels, expected = F.one_hot(labels, 4).float(), few.softmax(-1)
    else:
        expected = few.sigmoid()
    shares = labels.view(20_000, 2, 4).mean(0)
    torch.testing.assert_close(shares, expected.detach(), atol=4 * 0.5 / 20_000**0.5, rtol=0)


@pytest.mark.parametrize("name", ["categorical", "tokens", "bernoulli"])
def test_labels_are_drawn_of_outputs_that_are_no_numbers_too(name):
    """The term is left out then, but a draw that fails would end the training."""
    values = torch.zeros(3, 4)
    values[0, 1], values[1, 2] = float("inf"), float("nan")
    labels = LIKELIHOODS[name].sampled(values, torch.Generator().manual_seed(0))
    assert ((labels >= 0) & (labels < 4)).all()


def test_the_covariance_of_sampled_gradients_is_the_fisher_information():
    # E[∇log p(ŷ) ∇log p(ŷ)ᵀ], ŷ ~ p, is diag(p) - ppᵀ at the logits, the second-order term of D.
    logits = outputs((1, 4))
    values = logits.detach().repeat(50_000, 1).requires_grad_()
    labels = CATEGORICAL.sampled(values, torch.Generator().manual_seed(0))
    # Single items: the loss is the log odds, whose gradient is that of -log p over 1 - p.
    (gradient,) = torch.autograd.grad(CATEGORICAL.loss(values, labels).sum(), values)
    p = logits.detach().softmax(-1)[0]
    gradient = gradient * (1 - p[labels]).unsqueeze(-1)
    torch.testing.assert_close(
        gradient.T @ gradient / len(gradient), torch.diag(p) - torch.outer(p, p), atol=0.01, rtol=0
    )


def test_a_sampled_number_has_variance_one():
    values = outputs((1, 1)).repeat(50_000, 1)
    draws = GAUSSIAN.sampled(values, torch.Generator().manual_seed(0)) - values
    assert draws.mean().item() == pytest.approx(0.0, abs=0.02)
    assert draws.var().item() == pytest.approx(1.0, abs=0.03)
