"""Table of the kinds of task that attacks on texts can be run on; others are evaluated by plain scores alone."""

from alum.core.errors import InputError
from alum.evaluation.kinds.answer_likelihood import EvaluatedAnswers
from alum.evaluation.kinds.base import AttackedKind, EvaluatedKind
from alum.evaluation.kinds.completion import EvaluatedCompletion, MeasuredCompletion
from alum.evaluation.kinds.multiple_choice import EvaluatedMultipleChoice
from alum.evaluation.kinds.question_answering import EvaluatedQuestionAnswering
from alum.evaluation.kinds.regression import EvaluatedRegression
from alum.evaluation.kinds.sequence_classification import EvaluatedClassification
from alum.evaluation.kinds.token_classification import EvaluatedTagging
from alum.tasks.base import Supervision

ATTACKED_KINDS: dict[str, type[AttackedKind]] = {
    "sequence_classification": EvaluatedClassification,
    "regression": EvaluatedRegression,
    "multiple_choice": EvaluatedMultipleChoice,
    "question_answering": EvaluatedQuestionAnswering,
    "answer_likelihood": EvaluatedAnswers,
}
_PLAIN_KINDS: dict[str, type[EvaluatedKind]] = {
    "token_classification": EvaluatedTagging,
    "causal_lm": EvaluatedCompletion,
}
# Kinds that keep more of a model's outputs for their scores than training needs.
_MEASURED: dict[str, Supervision] = {"causal_lm": MeasuredCompletion()}


def evaluated_kind(supervision: Supervision) -> EvaluatedKind:
    """Looks up how a kind of task is evaluated: with attacks on its texts, or by plain scores alone."""
    kinds: dict[str, type[EvaluatedKind]] = {**_PLAIN_KINDS, **ATTACKED_KINDS}
    name = supervision.kind.name
    return kinds.get(name, EvaluatedKind)(_MEASURED.get(name, supervision))


def attacked_kind(supervision: Supervision) -> AttackedKind:
    """Looks up how a kind of task is attacked; raises `InputError` for kinds whose texts no attack can change."""
    name = supervision.kind.name
    if name not in ATTACKED_KINDS:
        raise InputError(f"attacks on texts are for {', '.join(ATTACKED_KINDS)}, not for {name}: leave them out.")
    return ATTACKED_KINDS[name](supervision)
