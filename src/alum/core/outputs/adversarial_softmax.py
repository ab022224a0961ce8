"""Adversarial softmax (Wang et al. 2019, arXiv:1906.03805): worst output embedding of the right token, in closed form.

A language model's logit of its label y is w_yᵀh. With w_y + δ in its place, ‖δ‖ ≤ r, the likelihood of the label is
least where the logit is: at δ = -r·h/‖h‖, where it is r‖h‖ lower and all others are what they were. With the log odds L
against the label, -log p = softplus(L), and the worst loss is softplus(L + r‖h‖): it takes the logits that there are.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from alum.core.batch import LabelOutputs
from alum.core.method_settings import Method
from alum.core.outputs.log_odds import log_odds_against
from alum.core.outputs.output_gradients import zero_with_gradient
from alum.core.outputs.rows import some_rows


def adversarial_softmax(found: LabelOutputs, method: Method) -> Tensor:
    """Sum of what the worst δ of each label adds to its -log p, in nats and fp32.

    The radius is ε, or ε‖w_y‖ where that is relative, which is a constant in the gradient, as every radius is.
    """
    logits, labels = found.logits.detach(), found.labels
    radius = method.epsilon * (found.label_norms if method.epsilon_unit == "relative" else 1.0)
    margins = radius * found.hidden.float().norm(dim=-1)
    log_odds = torch.cat([log_odds_against(logits[rows], labels[rows]) for rows in (*some_rows(logits), slice(0))])
    rises = F.softplus(log_odds + margins) - F.softplus(log_odds)
    slopes = ((log_odds + margins).sigmoid() - log_odds.sigmoid()).detach()
    return rises.sum() + zero_with_gradient(
        found.logits, lambda factor: _gradient_of_log_odds(logits, labels, factor * slopes)
    )


def _gradient_of_log_odds(logits: Tensor, labels: Tensor, factors: Tensor) -> Tensor:
    """Gradient of Σ factor · log odds at the logits: -1 at the label, at others their share among these.

    Worked out when it is asked for, since nothing of the size of the logits is then kept for it but these.
    """
    gradient = torch.empty_like(logits)
    for rows in some_rows(logits):
        of_label = labels[rows].unsqueeze(-1)
        others = logits[rows].float().scatter(-1, of_label, -torch.inf).softmax(-1)
        gradient[rows] = others.scatter(-1, of_label, -1.0) * factors[rows].unsqueeze(-1)
    return gradient
