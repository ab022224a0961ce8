"""The worst output embedding of a label, against a search over δ, and against the loss that is run again at it."""

import pytest
import torch
import torch.nn.functional as F

from alum.core.batch import LabelOutputs
from alum.core.methods import method_named
from alum.core.outputs.adversarial_softmax import adversarial_softmax

ITEMS, HIDDEN, VOCABULARY = 6, 8, 11
UNITS = ["relative", "absolute"]


@pytest.fixture
def weights():
    torch.manual_seed(0)
    hidden = torch.randn(ITEMS, HIDDEN, dtype=torch.float64, requires_grad=True)
    embeddings = torch.randn(VOCABULARY, HIDDEN, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(VOCABULARY, dtype=torch.float64)
    return hidden, embeddings, bias, torch.randint(VOCABULARY, (ITEMS,))


def radii(embeddings, labels, unit, epsilon):
    norms = embeddings.detach()[labels].norm(dim=-1)
    return epsilon * (norms if unit == "relative" else torch.ones_like(norms))


def losses_at(delta, hidden, embeddings, bias, labels):
    """-log p of each label, ``[items]``, where δ ``[items, hidden]`` is added to its output embedding alone."""
    losses = []
    for item, label in enumerate(labels):
        moved = torch.stack([w + delta[item] if i == label else w for i, w in enumerate(embeddings)])
        losses.append(F.cross_entropy(moved @ hidden[item] + bias, label))
    return torch.stack(losses)


def rises(weights, unit, epsilon):
    hidden, embeddings, bias, labels = weights
    logits, norms = hidden @ embeddings.T + bias, embeddings.detach()[labels].norm(dim=-1)
    method = method_named("adv_softmax", epsilon=epsilon, epsilon_unit=unit)
    items = (slice(item, item + 1) for item in range(ITEMS))
    return torch.stack(
        [adversarial_softmax(LabelOutputs(logits[i], labels[i], hidden[i], norms[i]), method) for i in items]
    )


@pytest.mark.parametrize("unit", UNITS)
def test_no_embedding_in_the_ball_has_a_larger_loss(weights, unit):
    worst = rises(weights, unit, 0.3)
    radius = radii(weights[1], weights[3], unit, 0.3).unsqueeze(-1)
    clean = losses_at(torch.zeros(ITEMS, HIDDEN), *weights)
    for _ in range(50):
        tried = radius * F.normalize(torch.randn(ITEMS, HIDDEN, dtype=torch.float64), dim=-1)
        assert (losses_at(tried, *weights) - clean < worst + 1e-6).all()
    # Projected ascent, which knows no closed form, comes to the same.
    delta = torch.zeros(ITEMS, HIDDEN, dtype=torch.float64, requires_grad=True)
    for _ in range(100):
        (gradient,) = torch.autograd.grad(losses_at(delta, *weights).sum(), delta)
        moved = delta + radius * F.normalize(gradient, dim=-1)
        delta = (moved * (radius / moved.norm(dim=-1, keepdim=True)).clamp_max(1)).detach().requires_grad_()
    torch.testing.assert_close(worst.double(), losses_at(delta, *weights) - clean, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("unit", UNITS)
def test_gradients_are_those_of_the_loss_at_the_worst_embedding(weights, unit):
    """By the theorem of Danskin the gradient of a maximum is that at the maximum, which is held there."""
    hidden, embeddings, _, labels = weights
    delta = -radii(embeddings, labels, unit, 0.3).unsqueeze(-1) * F.normalize(hidden.detach(), dim=-1)
    expected = losses_at(delta, *weights) - losses_at(torch.zeros_like(delta), *weights)
    of_expected = torch.autograd.grad(expected.sum(), (hidden, embeddings))
    of_ours = torch.autograd.grad(rises(weights, unit, 0.3).sum(), (hidden, embeddings))
    torch.testing.assert_close(of_ours, of_expected, rtol=1e-4, atol=1e-6)


def test_a_model_that_is_sure_has_a_finite_rise(weights):
    hidden, embeddings, _, labels = weights
    sure = LabelOutputs(
        (1e4 * F.one_hot(labels, VOCABULARY).float()).requires_grad_(),
        labels,
        hidden,
        embeddings.detach()[labels].norm(dim=-1),
    )
    assert adversarial_softmax(sure, method_named("adv_softmax")).item() == 0.0


def test_the_sum_has_the_gradients_of_its_items(weights, monkeypatch):
    hidden, embeddings, bias, labels = weights
    monkeypatch.setattr("alum.core.outputs.rows._ELEMENTS_AT_A_TIME", {"cpu": 2 * VOCABULARY})  # two rows at a time
    found = LabelOutputs(hidden @ embeddings.T + bias, labels, hidden, embeddings.detach()[labels].norm(dim=-1))
    together = torch.autograd.grad(
        3.0 * adversarial_softmax(found, method_named("adv_softmax", epsilon=0.3)), (hidden, embeddings)
    )
    one_by_one = torch.autograd.grad(3.0 * rises(weights, "relative", 0.3).sum(), (hidden, embeddings))
    torch.testing.assert_close(together, one_by_one, rtol=1e-5, atol=1e-6)


def test_nothing_predicted_adds_nothing():
    empty = LabelOutputs(
        torch.empty(0, VOCABULARY, requires_grad=True),
        torch.empty(0, dtype=torch.long),
        torch.empty(0, 4),
        torch.empty(0),
    )
    assert adversarial_softmax(empty, method_named("adv_softmax")).item() == 0.0
