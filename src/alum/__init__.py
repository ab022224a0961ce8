"""Adversarial training for language models (ALUM, arXiv:2004.08994) on PyTorch and Hugging Face.

What a user may rely on stands here: the Trainer with its settings, the objective and its parts for loops and modules of
one's own, the table of methods, the kinds of task, and the stages, each with its arguments and result.
"""

import importlib
from typing import TYPE_CHECKING, Any

from alum.version import __version__ as __version__

# Each name stands three times: type checkers read the imports and a list that is spelled out, and Python the modules.
if TYPE_CHECKING:
    from alum.core.batch import Batch
    from alum.core.errors import InputError
    from alum.core.method_settings import Method
    from alum.core.methods import METHODS, method_named
    from alum.core.objective import AlumResult, alum_loss
    from alum.models.hooks.hooked_batch import HookedBatch
    from alum.models.hooks.injection import Injection
    from alum.models.hooks.padding_free import PaddingFree
    from alum.reports.exports import AttackedTexts
    from alum.stages.augmentation.arguments import AugmentArguments
    from alum.stages.augmentation.run import AugmentResult, augment
    from alum.stages.evaluation.arguments import AttackArguments, EvaluateArguments
    from alum.stages.evaluation.attack import AttackOutcome, AttackOutcomes, attack
    from alum.stages.evaluation.run import EvaluateResult, evaluate
    from alum.stages.finetuning.arguments import FinetuneArguments
    from alum.stages.finetuning.config import FinetuneConfig
    from alum.stages.finetuning.result import FinetunedModel, FinetuneResult
    from alum.stages.finetuning.run import finetune
    from alum.stages.pretraining.arguments import PretrainArguments
    from alum.stages.pretraining.config import PretrainConfig
    from alum.stages.pretraining.run import PretrainResult, pretrain
    from alum.stages.study.run import StudyResult, merge_studies, study
    from alum.stages.study.settings import Study, StudyArguments
    from alum.tasks.base import TaskKind
    from alum.tasks.kinds.language_modeling import CAUSAL_LM, MASKED_LM
    from alum.tasks.kinds.multiple_choice import MULTIPLE_CHOICE
    from alum.tasks.kinds.preference import PREFERENCE
    from alum.tasks.kinds.question_answering import QUESTION_ANSWERING
    from alum.tasks.kinds.regression import REGRESSION
    from alum.tasks.kinds.sequence_classification import MULTI_LABEL_CLASSIFICATION, SEQUENCE_CLASSIFICATION
    from alum.tasks.kinds.sequence_to_sequence import SEQUENCE_TO_SEQUENCE
    from alum.tasks.kinds.text_embedding import TEXT_EMBEDDING, TEXT_EMBEDDING_DIRECTION
    from alum.tasks.kinds.token_classification import TOKEN_CLASSIFICATION
    from alum.training.config import AlumConfig
    from alum.training.parts.drawn_texts import RowTexts
    from alum.training.step import AlumStep
    from alum.training.trainer import AlumMixin, AlumTrainer

# fmt: off
__all__ = [
    "CAUSAL_LM", "MASKED_LM", "METHODS", "MULTIPLE_CHOICE", "MULTI_LABEL_CLASSIFICATION", "PREFERENCE",
    "QUESTION_ANSWERING", "REGRESSION", "SEQUENCE_CLASSIFICATION", "SEQUENCE_TO_SEQUENCE", "TEXT_EMBEDDING",
    "TEXT_EMBEDDING_DIRECTION", "TOKEN_CLASSIFICATION", "AlumConfig", "AlumMixin", "AlumResult", "AlumStep",
    "AlumTrainer", "AttackArguments", "AttackOutcome", "AttackOutcomes", "AttackedTexts", "AugmentArguments",
    "AugmentResult", "Batch", "EvaluateArguments", "EvaluateResult", "FinetuneArguments", "FinetuneConfig",
    "FinetuneResult", "FinetunedModel", "HookedBatch", "Injection", "InputError", "Method", "PaddingFree",
    "PretrainArguments", "PretrainConfig", "PretrainResult", "RowTexts", "Study", "StudyArguments", "StudyResult",
    "TaskKind", "alum_loss", "attack", "augment", "evaluate", "finetune", "merge_studies", "method_named",
    "pretrain", "study",
]

_EXPORTED = {
    "alum.core.batch": ("Batch",),
    "alum.core.errors": ("InputError",),
    "alum.core.method_settings": ("Method",),
    "alum.core.methods": ("METHODS", "method_named"),
    "alum.core.objective": ("AlumResult", "alum_loss"),
    "alum.models.hooks.hooked_batch": ("HookedBatch",),
    "alum.models.hooks.injection": ("Injection",),
    "alum.models.hooks.padding_free": ("PaddingFree",),
    "alum.reports.exports": ("AttackedTexts",),
    "alum.stages.augmentation.arguments": ("AugmentArguments",),
    "alum.stages.augmentation.run": ("AugmentResult", "augment"),
    "alum.stages.evaluation.arguments": ("AttackArguments", "EvaluateArguments"),
    "alum.stages.evaluation.attack": ("AttackOutcome", "AttackOutcomes", "attack"),
    "alum.stages.evaluation.run": ("EvaluateResult", "evaluate"),
    "alum.stages.finetuning.arguments": ("FinetuneArguments",),
    "alum.stages.finetuning.config": ("FinetuneConfig",),
    "alum.stages.finetuning.result": ("FinetuneResult", "FinetunedModel"),
    "alum.stages.finetuning.run": ("finetune",),
    "alum.stages.pretraining.arguments": ("PretrainArguments",),
    "alum.stages.pretraining.config": ("PretrainConfig",),
    "alum.stages.pretraining.run": ("PretrainResult", "pretrain"),
    "alum.stages.study.run": ("StudyResult", "merge_studies", "study"),
    "alum.stages.study.settings": ("Study", "StudyArguments"),
    "alum.tasks.base": ("TaskKind",),
    "alum.tasks.kinds.language_modeling": ("CAUSAL_LM", "MASKED_LM"),
    "alum.tasks.kinds.multiple_choice": ("MULTIPLE_CHOICE",),
    "alum.tasks.kinds.preference": ("PREFERENCE",),
    "alum.tasks.kinds.question_answering": ("QUESTION_ANSWERING",),
    "alum.tasks.kinds.regression": ("REGRESSION",),
    "alum.tasks.kinds.sequence_classification": ("MULTI_LABEL_CLASSIFICATION", "SEQUENCE_CLASSIFICATION"),
    "alum.tasks.kinds.sequence_to_sequence": ("SEQUENCE_TO_SEQUENCE",),
    "alum.tasks.kinds.text_embedding": ("TEXT_EMBEDDING", "TEXT_EMBEDDING_DIRECTION"),
    "alum.tasks.kinds.token_classification": ("TOKEN_CLASSIFICATION",),
    "alum.training.config": ("AlumConfig",),
    "alum.training.parts.drawn_texts": ("RowTexts",),
    "alum.training.step": ("AlumStep",),
    "alum.training.trainer": ("AlumMixin", "AlumTrainer"),
}
# fmt: on
_MODULE_OF = {name: module for module, names in _EXPORTED.items() for name in names}


def __getattr__(name: str) -> Any:
    # Imported when asked for: torch and transformers take seconds, and `alum --help` needs neither.
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'alum' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
