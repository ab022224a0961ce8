"""Gradients at outputs: the same in parts, and asked for when nothing else is left to do."""

import weakref

import pytest
import torch
import torch.nn.functional as F

from alum.core.outputs.output_gradients import gradient_at_own_scale, gradients_by_parts, zero_with_gradient


class Square(torch.autograd.Function):
    """A loss that notes when its backward pass has run, and what it saved is gone."""

    @staticmethod
    def forward(ctx, outputs, done):
        saved = outputs * 2
        ctx.save_for_backward(saved)
        ctx.done = done
        done["saved"] = weakref.ref(saved)
        return outputs.square().sum()

    @staticmethod
    def backward(ctx, factor):
        ctx.done["ran"] = True
        return factor * ctx.saved_tensors[0], None


@pytest.mark.parametrize("shape", [(0, 4), (1, 4), (7, 3), (1000, 40), (3, 30_000), (5, 2, 9)])
def test_parts_are_the_whole_once(shape):
    outputs = torch.randn(shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
    weights = torch.rand(shape[0], generator=torch.Generator().manual_seed(1)).view(-1, *[1] * (len(shape) - 1))
    (expected,) = torch.autograd.grad((weights * outputs.sin()).sum(), outputs)
    found, times = torch.zeros(shape), torch.zeros(shape[0])
    for part, gradient in gradients_by_parts(lambda some, part: (weights[part] * some.sin()).sum(), outputs):
        found[part] = gradient
        times[part] += 1
    assert (times == 1).all()
    torch.testing.assert_close(found, expected)


def test_many_values_are_never_one_part():
    """Over a vocabulary, a part is a small share of the outputs."""
    outputs = torch.randn(64, 30_000)
    sizes = [gradient.numel() for _, gradient in gradients_by_parts(lambda some, part: some.square().sum(), outputs)]
    assert max(sizes) <= outputs.numel() / 32


def test_the_gradient_is_that_of_the_factor_on_the_zero():
    weight = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    outputs = weight * 2
    zero = zero_with_gradient(outputs, lambda factor: factor * torch.tensor([1.0, 0.0, -1.0]))
    (outputs.sum() + 5 * zero).backward()
    assert zero == 0
    assert weight.grad.tolist() == [2 * (1 + 5), 2.0, 2 * (1 - 5)]


@pytest.mark.parametrize("made_first", ["loss", "zero"])
def test_it_is_asked_for_when_what_a_loss_saved_is_gone(made_first):
    weight = torch.ones(4, requires_grad=True)
    outputs, done, seen = weight * 2, {}, []

    def gradient(factor):
        seen.append((done.get("ran"), done["saved"]() is None))
        return factor * torch.ones(4)

    def loss():
        return 3 * Square.apply(outputs.view(2, 2), done)

    def zero():
        return 2 * zero_with_gradient(outputs.view(2, 2).view(4), gradient)

    first, second = (loss, zero) if made_first == "loss" else (zero, loss)
    (first() + second()).backward()
    assert seen == [(True, True)]
    torch.testing.assert_close(weight.grad, torch.full((4,), 2 * (3 * 2 * 2.0 + 2)))


def test_outputs_in_half_precision_keep_their_precision():
    outputs = torch.ones(3, dtype=torch.float16, requires_grad=True)
    zero = zero_with_gradient(outputs * 1, lambda factor: (factor * 1e-6 * torch.ones(3)).half())
    assert zero.dtype == torch.float32
    (zero * 2.0**10).backward()
    torch.testing.assert_close(outputs.grad, torch.full((3,), 1e-6 * 2.0**10, dtype=torch.float16))
    ((logits,),) = [[g for _, g in gradients_by_parts(lambda some, part: F.softplus(some).sum(), outputs)]]
    assert logits.dtype == torch.float32


@pytest.mark.parametrize("size", [1e-12, 1.0, 1e9])
def test_in_half_precision_a_gradient_of_any_size_is_near_one(size):
    outputs = torch.randn(1000, 40, generator=torch.Generator().manual_seed(0)).half()
    weights = size * torch.rand(1000, 1, generator=torch.Generator().manual_seed(1))
    divided, scale = gradient_at_own_scale(lambda some, part: (weights[part] * some.sin()).sum(), outputs)
    expected = weights * outputs.float().cos()
    assert divided.dtype == torch.float16
    assert 1 <= divided.abs().max() < 2.001
    assert scale.log2() == scale.log2().round()
    torch.testing.assert_close(divided.float() * scale, expected, rtol=2**-10, atol=size * 1e-6)


def test_no_outputs_have_an_empty_gradient():
    divided, scale = gradient_at_own_scale(lambda some, part: some.sum(), torch.empty(0, 4))
    assert divided.shape == (0, 4)
    assert scale > 0
