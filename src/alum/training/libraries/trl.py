"""Models in Trainers of TRL, whose fused head gives the log probability of each label and never all logits."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from alum.models.hooks.predicted_positions import head_sees_only
from alum.models.model_parts import pretrained_model
from alum.tasks.base import logits_of
from alum.tasks.kinds.language_modeling import CAUSAL_LM

FUSED = "fused_lm_head"
"""Keyword argument by which TRL asks a model for its fused head (``trl.trainer.utils.add_fused_lm_head``)."""


def predicted_rows(labels: Tensor) -> Tensor:
    """Flat positions that predict a label, in the order in which TRL scores them."""
    assert CAUSAL_LM.predicted_rows is not None
    return CAUSAL_LM.predicted_rows(labels)[0]


@contextmanager
def logits_beside_fused_head(model: nn.Module) -> Iterator[None]:
    """Makes passes through the fused head return the logits of the predicted positions too, which D compares.

    These are of the model's own head, and what the fused one returns is worked out from them. Passes beside it without
    gradients, those of a reference, are left as they are.
    """
    inner, with_graph = pretrained_model(model), torch.is_grad_enabled()
    fused_forward = vars(inner).get("forward")
    if fused_forward is None:
        yield
        return

    def forward(*args: Any, **kwargs: Any) -> Any:
        labels = kwargs.get("labels")
        if not kwargs.get(FUSED) or labels is None or torch.is_grad_enabled() != with_graph:
            return fused_forward(*args, **kwargs)
        own = {name: value for name, value in kwargs.items() if name not in (FUSED, "labels")}
        with head_sees_only(inner, predicted_rows(labels)):
            return _as_fused(fused_forward(*args, **own), labels)

    inner.forward = forward
    try:
        yield
    finally:
        inner.forward = fused_forward


def _as_fused(outputs: Any, labels: Tensor) -> Any:
    from trl.trainer.utils import FusedCausalLMOutput

    logits = logits_of(outputs).flatten(0, -2)
    next_labels = labels[:, 1:]
    has_label = next_labels != -100
    of_labels = logits.float().log_softmax(-1).gather(-1, next_labels[has_label].unsqueeze(-1)).squeeze(-1)

    def placed(values: Tensor) -> Tensor:
        return values.new_zeros(has_label.shape).masked_scatter(has_label, values)

    log_probs = placed(of_labels)
    with torch.no_grad():  # figures for the log
        every = logits.float().log_softmax(-1)
        result = FusedCausalLMOutput(
            log_probs=log_probs,
            entropy=placed(-(every.exp() * every).sum(-1)),
            log_sum_sq_probs=placed((2 * every).logsumexp(-1)),
            mean_logits=placed(logits.float().mean(-1)),
            is_top1=placed(every.argmax(-1) == next_labels[has_label]),
            label_mask=has_label,
            aux_loss=outputs.get("aux_loss"),
        )
    result["loss"] = -log_probs.sum() / has_label.sum().clamp(min=1)
    result["logits"] = logits.unsqueeze(0)
    return result
