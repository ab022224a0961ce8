"""A kind of task: what training moves, how rows become inputs, how outputs become predictions and scores."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch.nn.functional as F
from datasets import Dataset
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from alum.core.divergences import Divergence
from alum.core.errors import InputError
from alum.data.table import Table

Inputs = Mapping[str, Any]
Outputs = np.ndarray | tuple[np.ndarray, ...]
"""What the Trainer gathers over a data set: logits ``[features, ...]``, or a tuple where a head has several."""

# Inputs that a model needs for its loss alone; a pass without them computes only outputs.
LABEL_INPUTS = frozenset({"labels", "label", "label_ids", "start_positions", "end_positions", "shift_labels"})


@dataclass(frozen=True)
class Layout:
    """Which columns of a table hold what. ``label_names`` are in the order of the integer labels."""

    text: tuple[str, ...]
    label: str = "label"
    label_names: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    """Multiple choice: a column per choice, or one column of lists."""


class Supervision(Protocol):
    """From rows to model inputs, and from model outputs back to the rows."""

    main_metric: str
    """The metric that the best checkpoint is chosen by; higher is better."""

    def label_names(self, table: Table, layout: Layout) -> tuple[str, ...]:
        """The label names that a table's values show, where the task does not fix them; empty if there are none."""

    def head(self, label_names: tuple[str, ...]) -> dict[str, Any]:
        """The part of a model's configuration that its head needs."""

    def encode(
        self, table: Table, layout: Layout, tokenizer: PreTrainedTokenizerBase, max_length_tokens: int
    ) -> Dataset:
        """Model inputs and labels, truncated but not padded; one feature a row, or several for long contexts.

        Raises `InputError`, naming file and row, for values that do not fit the layout.
        """

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
        """Pads features to a batch."""

    def gathered(self, logits: Any, labels: Any) -> Any:
        """What is kept of a batch's logits for `predict`: all of them, or less where they are large."""

    def predict(self, outputs: Outputs, features: Dataset, table: Table, layout: Layout) -> list[Any]:
        """One prediction for each row, as it is written to ``predictions.jsonl``."""

    def score(self, predictions: Sequence[Any], table: Table, layout: Layout) -> dict[str, float]:
        """Metrics against the labels in the table: rates in [0, 1], correlations in [-1, 1]."""

    def row_scores(self, predictions: Sequence[Any], table: Table, layout: Layout) -> dict[str, list[float]]:
        """The scores of each row, for metrics that are means over rows; none where no metric is."""


@dataclass(frozen=True)
class TaskKind:
    """What training needs to know of a kind of task; one module of this package each.

    ``compared`` turns a model's outputs and inputs into the ``[items, ...]`` tensor whose items ``distance`` compares
    between two passes.
    """

    name: str
    auto_class: type
    compared: Callable[[Any, Inputs], Tensor]
    distance: Divergence
    supervision: Supervision | None = None
    """None for pre-training, which makes its own labels."""
    example_losses: Callable[[Any, Inputs], Tensor] | None = None
    """A model's outputs and inputs, labels among them, to the task loss of each feature ``[features]``: what attacks
    raise. None for kinds that are not attacked."""
    predicted_rows: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None
    """For language models: labels ``[batch, length]`` to the flat positions that are predicted and their labels."""


def logits_of(outputs: Any) -> Tensor:
    """The logits in a ``transformers`` model's output.

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


def first_output(outputs: Outputs) -> np.ndarray:
    """The logits where a model gathers more than them (encoder-decoders do)."""
    return outputs[0] if isinstance(outputs, tuple) else outputs
