"""Tables of the kinds of task, and the way from a model's head to the kind that it is made for."""

from collections.abc import Mapping
from typing import Any

from torch import nn
from transformers import PretrainedConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_MULTIPLE_CHOICE_MAPPING_NAMES,
    MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
)

from alum.core.errors import InputError, unknown_name
from alum.tasks.base import Supervision, TaskKind
from alum.tasks.kinds.completion import CompletionSupervision
from alum.tasks.kinds.language_modeling import CAUSAL_LM, MASKED_LM
from alum.tasks.kinds.multiple_choice import MULTIPLE_CHOICE, MultipleChoiceSupervision
from alum.tasks.kinds.question_answering import QUESTION_ANSWERING, QuestionAnsweringSupervision
from alum.tasks.kinds.regression import REGRESSION, RegressionSupervision
from alum.tasks.kinds.sequence_classification import (
    MULTI_LABEL_CLASSIFICATION,
    SEQUENCE_CLASSIFICATION,
    ClassificationSupervision,
)
from alum.tasks.kinds.sequence_to_sequence import SEQUENCE_TO_SEQUENCE
from alum.tasks.kinds.token_classification import TOKEN_CLASSIFICATION, TokenClassificationSupervision
from alum.tasks.layout import Layout

SUPERVISED: dict[str, Supervision] = {
    supervision.kind.name: supervision
    for supervision in (
        ClassificationSupervision(),
        RegressionSupervision(),
        MultipleChoiceSupervision(),
        QuestionAnsweringSupervision(),
        TokenClassificationSupervision(),
        CompletionSupervision(),
    )
}

# With those whose labels no single column holds, that make their own, or whose rows a Trainer of one's own reads.
KINDS: dict[str, TaskKind] = {
    **{name: supervision.kind for name, supervision in SUPERVISED.items()},
    **{kind.name: kind for kind in (MULTI_LABEL_CLASSIFICATION, MASKED_LM, SEQUENCE_TO_SEQUENCE)},
}

# By the names that users give kinds of supervised task, with the number of text columns that each takes.
USER_KINDS: dict[str, tuple[Supervision, int]] = {
    name: (supervision, num_texts)
    for supervision in SUPERVISED.values()
    for name, num_texts in supervision.user_kinds.items()
}

# Language models whose loss does not shift its labels, in transformers 5.23: the decoders of encoder-decoders, which
# others shift for, and two that have their own ways.
_LABELS_IN_PLACE = frozenset(
    {
        "BartForCausalLM", "BigBirdPegasusForCausalLM", "BlenderbotForCausalLM", "BlenderbotSmallForCausalLM",
        "CpmAntForCausalLM", "MBartForCausalLM", "MarianForCausalLM", "MvpForCausalLM", "PLBartForCausalLM",
        "PegasusForCausalLM", "ProphetNetForCausalLM", "TrOCRForCausalLM", "WhisperForCausalLM", "XLMWithLMHeadModel",
        "XLNetLMHeadModel",
    }
)  # fmt: skip


def supervision_named(name: str, layout: Layout) -> Supervision:
    """Looks up a kind of task by its ``--kind`` name.

    Raises `InputError` for an unknown name, or a wrong number of text columns.
    """
    if name not in USER_KINDS:
        raise unknown_name("kind", name, USER_KINDS)
    supervision, num_texts = USER_KINDS[name]
    if num_texts and len(layout.text) != num_texts:
        raise InputError(f"{name} takes {num_texts} text columns, not {len(layout.text)}: {', '.join(layout.text)}.")
    return supervision


def kind_of_sequence_head(config: PretrainedConfig) -> TaskKind:
    """Finds what a sequence classification head is configured for: one label, several at once, or a number."""
    problem_type = getattr(config, "problem_type", None)
    if problem_type == "multi_label_classification":
        return MULTI_LABEL_CLASSIFICATION
    if problem_type == "regression" or (problem_type is None and config.num_labels == 1):
        return REGRESSION
    return SEQUENCE_CLASSIFICATION


def kind_of(model: nn.Module) -> TaskKind:
    """Finds the kind of task that the head of a ``transformers`` model, or of a subclass of one, is made for.

    Raises `InputError` for a head that no kind fits.
    """
    names = {base.__name__ for base in type(model).__mro__}
    config: Any = getattr(model, "config", None)

    def is_among(mapping: Mapping[str, Any]) -> bool:
        return not names.isdisjoint(mapping.values())

    if is_among(MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES):
        return kind_of_sequence_head(config)
    if is_among(MODEL_FOR_MULTIPLE_CHOICE_MAPPING_NAMES):
        return MULTIPLE_CHOICE
    if is_among(MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES):
        return QUESTION_ANSWERING
    if is_among(MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES):
        return TOKEN_CLASSIFICATION
    encoder_decoder = getattr(config, "is_encoder_decoder", False)
    if not names.isdisjoint(_LABELS_IN_PLACE) and not encoder_decoder:
        raise InputError(
            f"{type(model).__name__} takes each label for that of its own position, not of the next token: a causal "
            "language model is trained otherwise. Choose another architecture."
        )
    if is_among(MODEL_FOR_MASKED_LM_MAPPING_NAMES) and not encoder_decoder:
        return MASKED_LM
    if is_among(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES) and not encoder_decoder:
        return CAUSAL_LM
    if is_among(MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES):
        return SEQUENCE_TO_SEQUENCE
    raise InputError(
        f"no kind of task fits {type(model).__name__}: expected a model for one of {', '.join(KINDS)}. "
        "For another head give the trainer a TaskKind of your own: AlumTrainer(..., kind=...)."
    )
