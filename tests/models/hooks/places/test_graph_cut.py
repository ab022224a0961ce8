import pytest
import torch

from alum.models.hooks.places.graph_cut import GraphCut


@pytest.fixture
def weights():
    return torch.tensor([2.0, 3.0], requires_grad=True)


def below(weights):
    """x, and what is shared by below and above; both keep tensors for their backward pass."""
    shared = weights.exp()
    return shared * weights, shared


def first(x, shared):
    return (x.sin() * shared).sum()


def second(x, shared):
    return (x.cos() + shared.square()).sum()


def test_the_second_backward_pass_gives_the_gradients_of_both(weights):
    cut = GraphCut()
    x, shared = below(weights)
    first(cut.copy_of(x), cut.copy_of(shared)).backward()
    assert weights.grad is None
    second(cut.joined(x), below(weights)[1]).backward()

    expected = weights.detach().requires_grad_()
    (first(*below(expected)) + second(*below(expected))).backward()
    torch.testing.assert_close(weights.grad, expected.grad)


def test_what_waits_goes_down_once_however_many_passes_are_joined(weights):
    cut = GraphCut()
    x, shared = below(weights)
    first(cut.copy_of(x), cut.copy_of(shared)).backward()
    (second(cut.joined(x), below(weights)[1]) + second(cut.joined(x), below(weights)[1])).backward()

    expected = weights.detach().requires_grad_()
    (first(*below(expected)) + 2 * second(*below(expected))).backward()
    torch.testing.assert_close(weights.grad, expected.grad)


def test_a_copy_is_made_once_and_has_a_gradient_even_where_the_original_has_none():
    cut, x = GraphCut(), torch.ones(2)
    copy = cut.copy_of(x)
    assert cut.copy_of(x) is copy
    assert cut.copied(x) is copy
    assert cut.copied("another") == "another"
    (copy * torch.tensor([1.0, 2.0])).sum().backward()
    assert copy.grad.tolist() == [1.0, 2.0]
    assert x.grad is None
    assert not cut.joined(x).requires_grad


def test_where_nothing_was_cut_nothing_is_joined(weights):
    x, _ = below(weights)
    assert GraphCut().joined(x) is x


def test_a_copy_that_got_no_gradient_adds_none(weights):
    cut = GraphCut()
    x, shared = below(weights)
    cut.copy_of(x), cut.copy_of(shared)
    cut.joined(x).sum().backward()
    expected = weights.detach().requires_grad_()
    below(expected)[0].sum().backward()
    torch.testing.assert_close(weights.grad, expected.grad)
