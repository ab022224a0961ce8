"""Adversarial softmax (Wang et al. 2019, arXiv:1906.03805): worst output embedding of the right token, in closed form.

A language model's logit of its label y is w_yᵀh. With w_y + δ in its place, ‖δ‖ ≤ r, the likelihood of the label is
least where the logit is: at δ = -r·h/‖h‖, where it is r‖h‖ lower and all others are what they were. With the log odds L
against the label, -log p = softplus(L), and the worst loss is softplus(L + r‖h‖): it takes the logits that there are.
"""

import torch.nn.functional as F
from torch import Tensor

from alum.core.batch import LabelOutputs
from alum.core.methods import Method
from alum.core.outputs.log_odds import log_odds_against


def adversarial_softmax(found: LabelOutputs, method: Method) -> Tensor:
    """Rise of -log p of each label at its worst δ, ``[items]``, in nats and fp32.

    The radius is ε, or ε‖w_y‖ where that is relative, which is a constant in the gradient, as every radius is.
    """
    radius = method.epsilon * (found.label_norms if method.epsilon_unit == "relative" else 1.0)
    log_odds = log_odds_against(found.logits, found.labels)
    worst = log_odds + radius * found.hidden.float().norm(dim=-1)
    return F.softplus(worst) - F.softplus(log_odds)
