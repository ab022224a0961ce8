"""A kind of task: what training moves, how rows become inputs, how outputs become predictions and scores."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch.nn.functional as F
from datasets import Dataset
from torch import Tensor
from transformers import DataCollatorWithPadding, PreTrainedTokenizerBase

from alum.core.divergences import Divergence
from alum.core.errors import InputError
from alum.models.inputs import Inputs
from alum.models.tokenization import Tokenization
from alum.tasks.rows import TaskRows

GatheredOutputs = np.ndarray | tuple[np.ndarray, ...]
"""What the Trainer gathers over a data set: logits ``[features, ...]``, or a tuple where a head has several."""


@dataclass(frozen=True)
class TaskKind:
    """What the adversary sees of a kind of task: the outputs that it moves, and how far apart two of them are.

    ``compared`` turns a model's outputs and inputs into the ``[items, ...]`` tensor whose items ``distance`` compares
    between two passes.
    """

    name: str
    compared: Callable[[Any, Inputs], Tensor]
    distance: Divergence
    example_losses: Callable[[Any, Inputs], Tensor] | None = None
    """A model's outputs and inputs, labels among them, to the task loss of each feature ``[features]``: what attacks
    raise. None for kinds that are not attacked."""
    predicted_rows: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None
    """For language models: labels ``[batch, length]`` to the flat positions that are predicted and their labels."""
    shifts_labels: bool = False
    """Whether a position predicts the label of the next one, as in causal language models."""


class Supervision(ABC):
    """What makes a kind a supervised task: from rows to model inputs, and from model outputs back to the rows."""

    kind: TaskKind
    auto_class: type
    """Class of ``transformers`` that loads models with the head of this kind."""
    user_kinds: Mapping[str, int]
    """Names that users give the kind, each with the number of its text columns; 0 for any number."""
    main_metric: str
    """Metric that the best checkpoint is chosen by; higher is better."""

    def label_names(self, rows: TaskRows) -> tuple[str, ...]:
        """Label names that the rows' values show, where the task does not fix them; empty if there are none."""
        return ()

    def head(self, label_names: tuple[str, ...]) -> dict[str, Any]:
        """The part of a model's configuration that its head needs."""
        return {}

    @abstractmethod
    def encode(self, rows: TaskRows, tokenization: Tokenization) -> Dataset:
        """Model inputs and labels, truncated but not padded; one feature a row, or several for long contexts.

        Raises `InputError`, naming file and row, for values that do not fit the layout.
        """

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
        """Pads features to a batch."""
        return DataCollatorWithPadding(tokenizer)

    def gathered(self, logits: Any, labels: Any) -> Any:
        """What is kept of a batch's logits for `predict`: all of them, or less where they are large."""
        return logits

    @abstractmethod
    def predict(self, outputs: GatheredOutputs, features: Dataset, rows: TaskRows) -> list[Any]:
        """One prediction for each row, as it is written to ``predictions.jsonl``."""

    @abstractmethod
    def score(self, predictions: Sequence[Any], rows: TaskRows) -> dict[str, float]:
        """Metrics against the labels of the rows: rates in [0, 1], correlations in [-1, 1]."""

    def row_scores(self, predictions: Sequence[Any], rows: TaskRows) -> dict[str, list[float]]:
        """Scores of each row, for metrics that are means over rows; none where no metric is."""
        return {}


def logits_of(outputs: Any) -> Tensor:
    """Logits in a ``transformers`` model's output.

    Raises `InputError` for a model that returns something else.
    """
    logits = outputs.get("logits") if isinstance(outputs, dict) else None
    if not isinstance(logits, Tensor):
        raise InputError(
            f"expected a model that returns logits in a transformers ModelOutput, but it returned "
            f"{type(outputs).__name__}. Use a model with a task head, and leave return_dict on."
        )
    return logits


def all_logits(outputs: Any, inputs: Inputs) -> Tensor:
    """`TaskKind.compared` where each example has one row of logits, ``[batch, classes]``."""
    return logits_of(outputs)


def cross_entropies(outputs: Any, inputs: Inputs) -> Tensor:
    """`TaskKind.example_losses` where each feature has one label out of several."""
    return F.cross_entropy(logits_of(outputs).float(), inputs["labels"], reduction="none")


def first_output(outputs: GatheredOutputs) -> np.ndarray:
    """Logits where a model gathers more than them (encoder-decoders do)."""
    return outputs[0] if isinstance(outputs, tuple) else outputs
