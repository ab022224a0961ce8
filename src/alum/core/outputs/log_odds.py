"""Log odds against right answers, which attacks raise: their gradient does not vanish where a model is sure.

Of the right label's probability p and logit z, the log odds are L = log((1 - p) / p) = logsumexp(the other logits) - z,
and the cross-entropy is -log p = softplus(L). Hence ∇(-log p) = σ(L) ∇L = (1 - p) ∇L: both gradients of a row point the
same way, and a larger L is a larger cross-entropy. But 1 - p is zero in fp32 for margins above 17, and the gradient of
the cross-entropy with it, while ∂L/∂logits is -1 at the right label and 1 in sum over the others, however sure it is.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def log_odds_against(logits: Tensor, labels: Tensor) -> Tensor:
    """Log odds ``[...]`` against the ``labels`` ``[...]``, in fp32, of logits ``[..., classes]``.

    >>> log_odds_against(torch.tensor([[1.0, 3.5], [0.0, 900.0]]), torch.tensor([0, 1]))
    tensor([   2.5000, -900.0000])
    """
    logits, labels = logits.float(), labels.unsqueeze(-1)
    others = logits.scatter(-1, labels, -torch.inf)
    return others.logsumexp(-1) - logits.gather(-1, labels).squeeze(-1)


def log_odds_against_all(log_odds: Sequence[Tensor]) -> Tensor:
    """Log odds ``[...]`` against several independent answers being right together, of the log odds against each.

    P = Π p, so that their softplus is the sum of the cross-entropies: neither the order of perturbations nor the
    direction of the gradient differs from that of the sum, or of the mean.
    """
    joint = log_odds[0]
    for single in log_odds[1:]:
        # (1 - P) / P = (1 + eᴬ)(1 + eᴮ) - 1 = eᴬ + eᴮ + eᴬ⁺ᴮ, where nothing cancels.
        joint = torch.stack((joint, single, joint + single)).logsumexp(0)
    return joint
