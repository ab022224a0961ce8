import itertools

import pytest
import torch
import torch.nn.functional as F

from alum.core.outputs.log_odds import log_odds_against, log_odds_against_all


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gradient(values, logits):
    return torch.autograd.grad(values.sum(), logits)[0]


def test_their_softplus_is_the_cross_entropy():
    logits, labels = 3 * normal(5, 4), torch.tensor([0, 3, 1, 1, 2])
    expected = F.cross_entropy(logits, labels, reduction="none").float()
    torch.testing.assert_close(F.softplus(log_odds_against(logits, labels)), expected)


def test_their_gradient_is_that_of_the_cross_entropy_over_the_probability_of_being_wrong():
    logits, labels = (3 * normal(5, 4)).requires_grad_(), torch.tensor([0, 3, 1, 1, 2])
    wrong = 1 - logits.softmax(-1).gather(-1, labels.unsqueeze(-1))
    expected = gradient(F.cross_entropy(logits, labels, reduction="none"), logits) / wrong
    torch.testing.assert_close(gradient(log_odds_against(logits, labels), logits), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_their_gradient_stays_where_that_of_the_cross_entropy_is_zero(dtype):
    logits, labels = torch.tensor([[500.0, -100.0, 0.0]], dtype=dtype, requires_grad=True), torch.tensor([0])
    assert not gradient(F.cross_entropy(logits.float(), labels), logits).any()
    torch.testing.assert_close(gradient(log_odds_against(logits, labels), logits), logits.new_tensor([[-1, 0, 1]]))


def test_together_they_are_those_of_all_combinations_but_the_right_one():
    """Three answers out of 2, 3 and 4: the right combination as one label of 24, whose logits are sums."""
    logits = [normal(5, classes, seed=classes) for classes in (2, 3, 4)]
    labels = torch.tensor([1, 2, 0])
    combinations = list(itertools.product(range(2), range(3), range(4)))
    sums = torch.stack([sum(one[:, i] for one, i in zip(logits, picked, strict=True)) for picked in combinations], -1)
    expected = log_odds_against(sums, torch.tensor(combinations.index((1, 2, 0))).expand(5))
    single = [log_odds_against(one, label.expand(5)) for one, label in zip(logits, labels, strict=True)]
    torch.testing.assert_close(log_odds_against_all(single), expected)


def test_together_they_order_as_the_sum_of_the_cross_entropies_and_point_the_same_way():
    log_odds = [(4 * normal(200, seed=seed)).requires_grad_() for seed in (0, 1)]
    joint, total = log_odds_against_all(log_odds), F.softplus(log_odds[0]) + F.softplus(log_odds[1])
    assert torch.equal(joint.argsort(), total.argsort())
    assert not torch.equal((log_odds[0] + log_odds[1]).argsort(), total.argsort())  # as the mean of the two would not
    by_joint, by_total = (torch.stack(torch.autograd.grad(v.sum(), log_odds)) for v in (joint, total))
    torch.testing.assert_close(by_joint, by_total / -torch.expm1(-total))  # over 1 - P


def test_together_their_gradient_stays_where_all_are_sure():
    log_odds = [torch.tensor(-300.0, requires_grad=True), torch.tensor(-300.0, requires_grad=True)]
    gradients = torch.autograd.grad(log_odds_against_all(log_odds), log_odds)
    assert [g.item() for g in gradients] == pytest.approx([0.5, 0.5], rel=1e-4)
