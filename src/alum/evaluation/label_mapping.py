"""Answers of a model that tells apart other labels than a suite does."""

from collections.abc import Sequence

import torch
from torch import Tensor

from alum.core.errors import InputError


def joined_logits(logits: Tensor, answers: Sequence[int], num_labels: int) -> Tensor:
    """Logits ``[..., outputs]`` of a model as logits ``[..., num_labels]`` of a suite with coarser or reordered labels.

    ``answers`` holds for each output of the model the suite's label, or -1 where that output is no answer. A label's
    logit is the largest of its outputs', so that the likeliest label is the one of the likeliest output that is an
    answer, which is how McCoy et al. 2019 (arXiv:1902.01007) score three-way models on HANS.

    Raises `InputError` if the model has another number of outputs, or a label has no output.

    >>> joined_logits(torch.tensor([0.1, 2.0, 3.0]), (0, 1, 1), 2)
    tensor([0.1000, 3.0000])
    """
    if len(answers) != logits.shape[-1]:
        raise InputError(
            f"expected an answer for each of the model's {logits.shape[-1]} outputs, but there are {len(answers)}: "
            "map every output to a label, or to -1 if it is none."
        )
    outputs = [[index for index, answer in enumerate(answers) if answer == label] for label in range(num_labels)]
    unanswered = [str(label) for label, own in enumerate(outputs) if not own]
    if unanswered or max(answers) >= num_labels or min(answers) < -1:
        raise InputError(
            f"expected the answers of the outputs to be -1 or below {num_labels}, and each label to be one, but they "
            f"are {list(answers)}: evaluate a model that can give every label of the suite."
        )
    if all(own == [label] for label, own in enumerate(outputs)) and len(answers) == num_labels:
        return logits
    return torch.stack([logits[..., own].amax(-1) for own in outputs], dim=-1)
