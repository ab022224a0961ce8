"""Models that an evaluation measures, loaded or given in memory: a fine-tuned model, or a function from texts."""

import hashlib
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from alum.core.errors import InputError
from alum.evaluation.function_on_task import FunctionOnTask
from alum.evaluation.kinds.base import EvaluatedKind
from alum.evaluation.label_names import LabelMapping
from alum.evaluation.model_on_task import ModelOnTask
from alum.models.checkpoint import Checkpoint
from alum.models.model_in_memory import ModelInMemory
from alum.models.model_parts import pretrained_model
from alum.models.text_function import TextFunction
from alum.models.text_model import TextModel
from alum.models.tokenization import Tokenization
from alum.tasks.lookup import SUPERVISED, kind_of

ModelSource = Checkpoint | ModelInMemory | TextFunction


@dataclass(frozen=True)
class Reading:
    """How a model is to read rows: the longest input, asked for or by default, rows in a batch, and the tolerance."""

    max_length_tokens: int | None
    default_length_tokens: int
    batch_size: int
    tolerance: float | None = None


@dataclass(frozen=True)
class LoadedModel:
    """Fine-tuned model with its tokenizer, under the name that it has in records."""

    name: str
    source: Checkpoint | ModelInMemory
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @classmethod
    def of(cls, name: str, source: Checkpoint | ModelInMemory, evaluated: EvaluatedKind) -> "LoadedModel":
        """Loads a model; raises `InputError` where it cannot be loaded, or has not such a head, fine-tuned."""
        auto_class = evaluated.supervision.auto_class
        if isinstance(source, ModelInMemory):
            kind = kind_of(pretrained_model(source.model))
            if kind.name not in SUPERVISED or SUPERVISED[kind.name].auto_class is not auto_class:
                raise InputError(
                    f"{name} is a model of {kind.name}, but the rows are of {evaluated.name}: give a model with a head "
                    f"for these, such as {auto_class.__name__} loads."
                )
        return cls(name, source, source.trained_model(auto_class), source.tokenizer)

    def described(self) -> dict[str, Any]:
        """Entry of the model in ``results.json``."""
        return {"name": self.name, "path": self.source.name_or_path, "num_parameters": self.model.num_parameters()}

    def digest(self) -> str | None:
        """Digest of the model's weights, whatever files they are in."""
        digest = hashlib.blake2b(digest_size=16)
        for name, values in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(values.cpu().contiguous().view(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    def on_task(self, evaluated: EvaluatedKind, mapping: LabelMapping | None, reading: Reading) -> ModelOnTask:
        """Pairs the model with a kind of task; raises `InputError` where it cannot read so much."""
        length = self.source.input_length_tokens(reading.max_length_tokens, reading.default_length_tokens)
        text_model = TextModel(self.model, Tokenization(self.tokenizer, length), reading.batch_size)
        return ModelOnTask(text_model, evaluated, mapping, reading.tolerance)


@dataclass(frozen=True)
class LoadedFunction:
    """Function in the place of a `LoadedModel`, of which nothing is known but what it answers."""

    name: str
    source: TextFunction

    def described(self) -> dict[str, Any]:
        return {"name": self.name, "path": self.source.name_or_path, "num_parameters": None}

    def digest(self) -> str | None:
        """None: one function cannot be told from another."""
        return None

    def on_task(self, evaluated: EvaluatedKind, mapping: LabelMapping | None, reading: Reading) -> FunctionOnTask:
        return FunctionOnTask(self.source, evaluated, mapping, reading.batch_size)


def loaded(name: str, source: ModelSource, evaluated: EvaluatedKind) -> LoadedModel | LoadedFunction:
    """Loads what is to be measured; raises `InputError` where it cannot be loaded or has no head for such rows."""
    return LoadedFunction(name, source) if isinstance(source, TextFunction) else LoadedModel.of(name, source, evaluated)
