"""Directions of the task loss's gradient, against those of log odds in double precision."""

import contextlib

import pytest
import torch
import torch.nn.functional as F

from alum.core.errors import InputError
from alum.core.methods import method_named
from alum.core.objective import alum_loss
from alum.core.outputs.likelihoods import CATEGORICAL

ROWS, CLASSES = 6, 3
X = torch.randn(ROWS, 1, 5, generator=torch.Generator().manual_seed(0))
WEIGHT = torch.randn(5, CLASSES, generator=torch.Generator().manual_seed(1))


class Linear:
    """Logits x·W, so that the gradient at x is known from that at the logits."""

    mask, scale, row_noise = torch.ones(ROWS, 1).bool(), 1.0, None

    def __init__(self, labels, factor=1.0, num_classes=CLASSES, likelihood=CATEGORICAL):
        self.labels, self.factor, self.likelihood = labels, factor, likelihood
        self.weight = WEIGHT[:, :num_classes].clone().requires_grad_()

    def logits(self, x):
        return self.factor * x.squeeze(1) @ self.weight

    def clean(self):
        return self.clean_cut_at_x()

    def clean_cut_at_x(self):
        x = X.clone().requires_grad_()
        logits = self.logits(x)
        return F.cross_entropy(logits, self.labels), logits, x

    def outputs(self, delta):
        return self.logits(X + delta)

    def task_loss(self, delta):
        logits = self.outputs(delta)
        return F.cross_entropy(logits, self.labels), logits

    def divergence(self, adversarial, clean):
        return (adversarial - clean).square().sum(-1)

    def log_odds_against_likeliest(self, outputs):
        return None if self.likelihood is None else self.likelihood.loss(outputs, self.likelihood.predicted(outputs))

    def without_weight_gradients(self):
        return contextlib.nullcontext()

    def direction(self, labels):
        """Direction of ∇_x -log p(label) in each row, in double precision, where 1 - p is no factor of it."""
        x = X.double().requires_grad_()
        logits = self.factor * x.squeeze(1) @ self.weight.detach().double()
        right = logits.gather(-1, labels.unsqueeze(-1)).squeeze(-1)
        others = logits.scatter(-1, labels.unsqueeze(-1), -torch.inf).logsumexp(-1)
        (gradient,) = torch.autograd.grad((others - right).sum(), x)
        return F.normalize(gradient.squeeze(1), dim=-1).float()


def likeliest():
    return (X.squeeze(1) @ WEIGHT).argmax(-1)


def some_wrong():
    """Labels that are not the most likely ones in half of the rows."""
    return torch.where(torch.arange(ROWS) % 2 == 0, likeliest(), (likeliest() + 1) % CLASSES)


def direction_of(batch, name, **settings):
    result = alum_loss(batch, method_named(name, epsilon=0.1, epsilon_unit="absolute", **settings))
    return F.normalize(result.delta.squeeze(1), dim=-1)


@pytest.mark.parametrize("factor", [1.0, 30.0, 300.0, 3000.0])
@pytest.mark.parametrize(("name", "settings"), [("alum_one_pass", {}), ("fgm", {}), ("pgd", {"num_steps": 1})])
@pytest.mark.parametrize("labels", [likeliest, some_wrong])
def test_every_row_has_its_direction_however_sure_the_model_is(factor, name, settings, labels):
    batch = Linear(labels(), factor)
    found = direction_of(batch, name, **settings)
    torch.testing.assert_close(found, batch.direction(labels()), rtol=0, atol=0.1 if factor > 1 else 1e-5)


def test_without_it_rows_would_be_left_alone():
    delta = direction_of(Linear(likeliest(), factor=3000.0, likelihood=None), "alum_one_pass")
    assert (delta == 0).all(-1).any()


@pytest.mark.parametrize("factor", [1.0, 3000.0])
def test_the_weights_hardly_notice(factor):
    batch = Linear(some_wrong(), factor)
    alum_loss(batch, method_named("alum_one_pass", alpha=1e-30))
    logits = factor * X.squeeze(1) @ (weight := WEIGHT.clone().requires_grad_())
    F.cross_entropy(logits, some_wrong()).backward()
    if factor == 1.0:  # no row is sure
        torch.testing.assert_close(batch.weight.grad, weight.grad, rtol=0, atol=0)
    largest = (X.norm(dim=-1) * 2 * factor).mean()
    assert (batch.weight.grad - weight.grad).norm() < 2.0**-20 * largest


# -- turned where the prediction is wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1.0, 30.0, 3000.0])
def test_with_two_labels_the_turned_direction_is_that_at_the_most_likely_one(factor):
    labels = torch.tensor([0, 1, 1, 0, 0, 1])
    batch = Linear(labels, factor, num_classes=2)
    predicted = (X.squeeze(1) @ WEIGHT[:, :2]).argmax(-1)
    assert 0 < (predicted == labels).sum() < ROWS
    found = direction_of(batch, "alum_one_pass", ascent="predicted")
    torch.testing.assert_close(found, batch.direction(predicted), rtol=0, atol=0.1 if factor > 1 else 1e-5)


def test_with_more_labels_wrong_rows_go_towards_the_right_one():
    batch = Linear(some_wrong())
    found = direction_of(batch, "alum_one_pass", ascent="predicted")
    sign = torch.where(some_wrong() == likeliest(), 1.0, -1.0).unsqueeze(-1)
    torch.testing.assert_close(found, sign * batch.direction(some_wrong()), rtol=0, atol=1e-5)


def test_a_loss_that_is_not_of_the_compared_outputs_cannot_be_turned():
    class Apart(Linear):
        def clean_cut_at_x(self):
            _, logits, x = super().clean_cut_at_x()
            return F.cross_entropy(self.logits(x), self.labels), logits * 1.0, x

    with pytest.raises(InputError, match="computed from the outputs which are compared"):
        direction_of(Apart(likeliest(), likelihood=None), "alum_one_pass", ascent="predicted")
