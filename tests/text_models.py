"""Models with their tokenization, and kinds of task, as evaluations take them."""

from alum.evaluation.kinds.lookup import evaluated_kind
from alum.evaluation.model_on_task import ModelOnTask
from alum.models.text_model import TextModel
from alum.models.tokenization import Tokenization
from alum.tasks.lookup import SUPERVISED


def text_model(model, tokenizer, max_length_tokens=64, batch_size=64):
    return TextModel(model, Tokenization(tokenizer, max_length_tokens), batch_size)


def evaluated(kind):
    """How models of a `TaskKind` are evaluated."""
    return evaluated_kind(SUPERVISED[kind.name])


def on_task(model, tokenizer, kind, batch_size=64, **settings):
    return ModelOnTask(text_model(model, tokenizer, 32, batch_size), evaluated(kind), **settings)
