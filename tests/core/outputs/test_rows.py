"""Rows in parts, gradients kept in half precision, and what is allocated over a vocabulary, counted."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from alum.core.divergences import symmetric_kl
from alum.core.outputs.likelihoods import TOKENS
from alum.core.outputs.rows import RowGradient, power_of_two, some_rows

HALF = [torch.bfloat16, torch.float16]


@pytest.mark.parametrize("shape", [(0, 5), (1, 1 << 20), (3000, 401), (7, 2)])
def test_parts_are_all_rows_in_order(shape):
    logits = torch.arange(shape[0]).unsqueeze(-1).expand(shape)
    parts = [logits[rows, 0] for rows in some_rows(logits)]
    assert torch.equal(torch.cat([torch.empty(0, dtype=torch.long), *parts]), torch.arange(shape[0]))


def test_powers_of_two_by_hand():
    values = torch.tensor([[5.0, -9.0], [0.0, 3 * 2.0**-30], [float("nan"), 1.0], [float("inf"), 1.0]])
    assert power_of_two(values).tolist() == [[8.0], [2.0**-29], [1.0], [1.0]]
    assert power_of_two(torch.zeros(2, 3)).tolist() == [[2.0**-100]] * 2


@pytest.mark.parametrize(("dtype", "digits"), [(torch.bfloat16, 2**-8), (torch.float16, 2**-11), (torch.float32, 0)])
def test_rows_far_from_each_other_in_size_are_kept_alike(dtype, digits):
    sizes = 10.0 ** torch.arange(-25, 16, dtype=torch.float32).unsqueeze(-1)
    gradient = sizes * torch.randn(41, 50, generator=torch.Generator().manual_seed(0))
    kept = RowGradient.at(torch.empty(41, 50, dtype=dtype))
    for rows in (slice(0, 20), slice(20, 41)):
        kept.keep(rows, gradient[rows])
    found = kept.times(1 / sizes.squeeze(-1), torch.float32)
    largest = (gradient / sizes).abs().amax(-1, keepdim=True)
    assert ((found - gradient / sizes).abs() <= digits * largest + 1e-6).all()
    assert kept.values.dtype == dtype


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_stays_so(value):
    kept = RowGradient.at(torch.empty(1, 2, dtype=torch.float16))
    kept.keep(slice(0, 1), torch.tensor([[1.0, value]]))
    assert not kept.times(torch.ones(1), torch.float16)[0, 1].isfinite()


class LargestFloat(TorchDispatchMode):
    """Counts the values of the largest tensor in fp32 that an operation returns."""

    count = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        returned = operation(*args, **(kwargs or {}))
        for value in returned if isinstance(returned, tuple | list) else [returned]:
            if isinstance(value, torch.Tensor) and value.dtype == torch.float32:
                self.count = max(self.count, value.numel())
        return returned


def both_sides(logits, others):
    (symmetric_kl(logits, others) * torch.rand(len(logits))).sum().backward()


def masked(logits, others):
    symmetric_kl(logits, others, torch.rand(len(logits)) > 0.5).sum().backward()


def loss_at_tokens(logits, others):
    (TOKENS.loss(logits, others.argmax(-1)) * torch.rand(len(logits))).sum().backward()


def drawn(logits, others):
    TOKENS.sampled(logits, None)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("run", [both_sides, masked, loss_at_tokens, drawn])
def test_over_a_vocabulary_no_tensor_in_fp32_is_as_large_as_logits_in_half_precision(run, dtype):
    logits, others = (torch.randn(64, 30_000).to(dtype).requires_grad_() for _ in range(2))
    with LargestFloat() as largest:
        run(logits, others)
    assert 30_000 < largest.count <= 2**18 < logits.numel() / 4
