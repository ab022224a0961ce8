"""Divergences between two predictions, one for each item, in nats (squared error: in squared label units).

Every divergence takes two tensors of logits ``[..., classes]`` and returns ``[...]`` in fp32, whatever precision the
logits have: half-precision softmax loses the small differences that an adversary starts from.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from alum.core.outputs.rows import RowGradient, some_rows

Divergence = Callable[..., Tensor]

IGNORED_LABEL = -100
"""Marks positions without a label, as in torch's cross-entropy."""


def symmetric_kl(logits_p: Tensor, logits_q: Tensor, mask: Tensor | None = None) -> Tensor:
    """Jeffreys divergence KL(p‖q) + KL(q‖p) = Σ (p - q)(log p - log q), the D of ALUM (section 3.2).

    >>> symmetric_kl(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 0.0]]))
    tensor([0.])
    """
    value: Tensor = _SymmetricKL.apply(logits_p, logits_q, mask)  # type: ignore[no-untyped-call]
    return value


class _SymmetricKL(torch.autograd.Function):
    """Its gradient is worked out with the value, so that one tensor ``[..., classes]`` a side is kept, not four.

    With a vocabulary for classes that is a large part of the memory of a step. What lies between, all that is fp32
    where the logits are not, is worked out for some rows at a time: it then fits a processor's cache, and adds nothing
    to the peak.
    """

    @staticmethod
    def forward(ctx: Any, logits_p: Tensor, logits_q: Tensor, mask: Tensor | None) -> Tensor:
        p, q = (logits.reshape(-1, logits.shape[-1]) for logits in (logits_p, logits_q))
        mask = None if mask is None else mask.expand(logits_p.shape[:-1]).reshape(-1)
        gradients = [RowGradient.at(side) if ctx.needs_input_grad[i] else None for i, side in enumerate((p, q))]
        value = torch.empty(len(p), dtype=torch.float32, device=p.device)
        for rows in some_rows(p):
            some = None if mask is None else mask[rows]
            value[rows] = _rows_of_symmetric_kl(_kept(p[rows], some), _kept(q[rows], some), rows, *gradients)
        ctx.dtypes = p.dtype, q.dtype
        ctx.save_for_backward(*(tensor for gradient in gradients for tensor in gradient or (None, None)))
        return value.view(logits_p.shape[:-1])

    @staticmethod
    def backward(ctx: Any, *factors: Tensor) -> tuple[Tensor | None, ...]:
        (factor,) = factors

        def at_logits(values: Tensor | None, scales: Tensor, dtype: torch.dtype) -> Tensor | None:
            if values is None:
                return None
            return RowGradient(values, scales).times(factor.reshape(-1), dtype).view(*factor.shape, values.shape[-1])

        (values_p, scales_p, values_q, scales_q), (dtype_p, dtype_q) = ctx.saved_tensors, ctx.dtypes
        return at_logits(values_p, scales_p, dtype_p), at_logits(values_q, scales_q, dtype_q), None


def _rows_of_symmetric_kl(
    logits_p: Tensor,
    logits_q: Tensor,
    rows: slice,
    gradient_p: RowGradient | None,
    gradient_q: RowGradient | None,
) -> Tensor:
    """``[rows]`` of ``[rows, classes]``; the gradients are kept where they are wanted."""
    log_p, log_q = F.log_softmax(logits_p, dim=-1), F.log_softmax(logits_q, dim=-1)
    log_ratio = log_p - log_q
    p, q = log_p.exp_(), log_q.exp_()
    kl_pq, kl_qp = (p * log_ratio).sum(-1, keepdim=True), -(q * log_ratio).sum(-1, keepdim=True)
    # ∂D/∂logits_p = p·(log p - log q) + (p - q) - p·KL(p‖q), and the same for q with the two exchanged
    if gradient_p is not None:
        gradient_p.keep(rows, torch.addcmul(p - q, p, log_ratio - kl_pq))
    if gradient_q is not None:
        gradient_q.keep(rows, torch.addcmul(q - p, q, log_ratio + kl_qp, value=-1))
    return (kl_pq + kl_qp).squeeze(-1)


def bernoulli_symmetric_kl(logits_p: Tensor, logits_q: Tensor, mask: Tensor | None = None) -> Tensor:
    """Symmetric KL of independent yes/no outputs (multi-label classification), summed over the labels."""
    two_way_p, two_way_q = (F.pad(logits.unsqueeze(-1), (0, 1)) for logits in (logits_p, logits_q))
    return symmetric_kl(two_way_p, two_way_q, None if mask is None else mask.unsqueeze(-1)).sum(-1)


def squared_error(predictions_p: Tensor, predictions_q: Tensor, mask: Tensor | None = None) -> Tensor:
    """Σ (p - q)² over the last dimension, the D of ALUM for regression."""
    difference = _kept(predictions_p, mask) - _kept(predictions_q, mask)
    return difference.square().sum(-1)


def labelled(labels: Tensor, ignore_index: int = IGNORED_LABEL) -> Tensor:
    """Mask ``[...]`` of the token positions that carry a label, False where it is ``ignore_index``."""
    return labels != ignore_index


def _kept(logits: Tensor, mask: Tensor | None) -> Tensor:
    # Masked before the softmax, not after: an infinite logit at an ignored position would make its zero gradient NaN.
    logits = logits.float()
    return logits if mask is None else logits.masked_fill(~mask.unsqueeze(-1), 0.0)
