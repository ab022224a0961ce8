"""Interfaces of a kind of task: outputs that the adversary moves, encoding of rows, predictions and scores."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset
from torch import Tensor
from transformers import DataCollatorWithPadding, PreTrainedTokenizerBase

from alum.core.divergences import Divergence
from alum.core.errors import InputError
from alum.core.outputs.likelihoods import Likelihood
from alum.core.outputs.log_odds import log_odds_against
from alum.models.inputs import Inputs
from alum.models.tokenization import Tokenization
from alum.tasks.layout import Layout
from alum.tasks.rows import TaskRows

GatheredOutputs = np.ndarray | tuple[np.ndarray, ...]
"""Outputs that the Trainer gathers over a data set: logits ``[features, ...]``, or a tuple where a head has several."""


@dataclass(frozen=True)
class TaskKind:
    """Kind of task as the adversary sees it: the outputs that it moves, and the divergence between two of them.

    ``compared`` turns a model's outputs and inputs into the ``[items, ...]`` tensor whose items ``distance`` compares
    between two passes.
    """

    name: str
    compared: Callable[[Any, Inputs], Tensor]
    distance: Divergence
    example_losses: Callable[[Any, Inputs], Tensor] | None = None
    """What attacks raise, ``[features]``, from a model's outputs and inputs with labels.

    Log odds against right answers, whose softplus is the cross-entropy, or squared errors. None for kinds that are not
    attacked.
    """
    predicted_rows: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None
    """Flat positions that a language model predicts, and their labels, from labels ``[batch, length]``."""
    likelihood: Likelihood | None = None
    """What ``compared`` outputs stand for, for methods that ascend the loss at labels of the model's own."""
    compares_labelled_only: bool = False
    """Whether the items are positions that carry a label, as tokens are: without labels nothing is compared."""
    compares_rows: bool = False
    """Whether a row has one output for its whole text, so that it can be compared with that of a changed text."""
    shifts_labels: bool = False
    """Whether a position predicts the label of the next one, as in causal language models."""


class Supervision(ABC):
    """Kind of task with labelled rows: encodes rows as model inputs, and turns outputs into predictions and scores."""

    kind: TaskKind
    auto_class: type
    """Auto class of ``transformers`` that loads models with the head of this kind."""
    user_kinds: Mapping[str, int]
    """Names that users give the kind, each with the number of its text columns; 0 for any number."""
    main_metric: str
    """Metric that the best checkpoint is chosen by; higher is better."""

    pipeline_tag: str | None = None
    """What hubs call the kind of task; None where they have no name for it."""
    known_layouts: tuple[Layout, ...] = ()
    """Columns that such rows often have, by which they are read where no columns are named."""
    label_is_text = False
    """Whether labels are texts that a model learns to write."""
    needs_padding_token = True
    """Whether its collator pads with the tokenizer's padding token, and cannot do without."""
    needs_text = True
    """Whether rows need text columns, and are not of the label column alone."""

    def label_names(self, rows: TaskRows) -> tuple[str, ...]:
        """Reads label names off the rows, for tasks that do not fix them; empty if the labels have none."""
        return ()

    def head(self, label_names: tuple[str, ...]) -> dict[str, Any]:
        """Settings of a model's configuration that its head needs, such as the names of the labels."""
        return {}

    def usage(self, model: str, num_texts: int) -> str:
        """Lines of Python that use a model of this kind on made-up texts, as many as it reads together.

        ``model`` is Python for the name that it is loaded by. Without lines of its own a kind prints raw outputs.
        """
        texts = ", ".join(('"A text."', '"Another."')[:num_texts] or ['"A text."'])
        return f"""
from transformers import AutoTokenizer, {self.auto_class.__name__}

tokenizer = AutoTokenizer.from_pretrained({model})
model = {self.auto_class.__name__}.from_pretrained({model})
print(model(**tokenizer({texts}, return_tensors="pt")))
"""

    @abstractmethod
    def encode(self, rows: TaskRows, tokenization: Tokenization) -> Dataset:
        """Encodes rows as model inputs and labels, truncated, not padded; one feature a row, several for long contexts.

        Raises `InputError`, naming file and row, for values that do not fit the layout.
        """

    def examples(self, rows: TaskRows) -> list[tuple[str, ...]]:
        """Texts of each row, as many in every one, which adversaries may change where `TaskKind.compares_rows`."""
        return rows.examples()

    def encode_examples(self, examples: Sequence[tuple[str, ...]], tokenization: Tokenization) -> dict[str, list[Any]]:
        """Encodes texts as they are in `examples`, as `encode` does those of rows, without labels."""
        return dict(tokenization(*map(list, zip(*examples, strict=True))))

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
        """Makes the function that pads features to a batch."""
        return DataCollatorWithPadding(tokenizer)

    def gathered(self, logits: Any, labels: Any) -> Any:
        """Reduces a batch's logits to what `predict` needs: all of them, or less where they are large."""
        return logits

    @abstractmethod
    def predict(self, outputs: GatheredOutputs, features: Dataset, rows: TaskRows) -> list[Any]:
        """Predictions of a model, one for each row, as they are written to ``predictions.jsonl``."""

    @abstractmethod
    def score(self, predictions: Sequence[Any], rows: TaskRows) -> dict[str, float]:
        """Metrics of predictions against the labels of the rows: rates in [0, 1], correlations in [-1, 1]."""

    def row_scores(self, predictions: Sequence[Any], rows: TaskRows) -> dict[str, list[float]]:
        """Scores of each row by metric, for metrics that are means over rows; empty where none is."""
        return {}


def logits_of(outputs: Any) -> Tensor:
    """Logits in the output of a ``transformers`` model, which a cross-encoder of sentence-transformers calls scores.

    Raises `InputError` for a model that returns something else.
    """
    logits = outputs.get("logits", outputs.get("scores")) if isinstance(outputs, Mapping) else None
    if not isinstance(logits, Tensor):
        raise InputError(
            f"expected a model that returns logits in a transformers ModelOutput, but it returned "
            f"{type(outputs).__name__}. Use a model with a task head, and leave return_dict on."
        )
    return logits


def all_logits(outputs: Any, inputs: Inputs) -> Tensor:
    """All logits of a model, ``[batch, classes]``: `TaskKind.compared` where each example has one row of them."""
    return logits_of(outputs)


def log_odds_against_labels(outputs: Any, inputs: Inputs) -> Tensor:
    """Log odds, ``[features]``: `TaskKind.example_losses` where each feature has one label out of several."""
    return log_odds_against(logits_of(outputs), inputs["labels"])


def first_output(outputs: GatheredOutputs) -> np.ndarray:
    """Logits among gathered outputs, which come first where there are others too (of encoder-decoders)."""
    return outputs[0] if isinstance(outputs, tuple) else outputs
