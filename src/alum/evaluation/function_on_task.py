"""A function from texts to probabilities on a task's rows, and as the victim of attacks that ask for no more."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray

from alum.attacks.text.output_cache import OutputCache
from alum.attacks.text.protocol import VictimOutputs
from alum.attacks.text.worded import Example
from alum.core.errors import InputError
from alum.evaluation.kinds.base import EvaluatedKind
from alum.evaluation.label_names import LabelMapping
from alum.evaluation.text_reading import check_unicode
from alum.models.text_function import TextFunction
from alum.tasks.rows import TaskRows

_LEAST_PROBABILITY = np.finfo(np.float64).tiny  # so that a probability of zero has a logarithm


@dataclass(frozen=True)
class FunctionVictim:
    """Function from texts to probabilities as the victim of attacks: the likes of `ClassifierVictim`.

    Its outputs are probabilities of the task's labels, or their logarithms where ``in_logits``.
    """

    function: TextFunction
    mapping: LabelMapping | None = None
    batch_size: int = 64
    in_logits: bool = False
    cache: OutputCache = field(default_factory=OutputCache)

    def __call__(self, examples: Sequence[Example]) -> VictimOutputs:
        """Outputs ``[examples, labels]``; raises `InputError` for text that is not Unicode, and bad probabilities."""
        for example in examples:
            check_unicode(example)
        questions = [repr(example).encode() for example in examples]
        return self.cache.of(questions, lambda indices: self._outputs([examples[index] for index in indices]))

    def characters_read(self, example: Example) -> tuple[int, ...]:
        """Number of characters of each text: how much of them the function reads, only itself knows."""
        return tuple(map(len, example))

    def _outputs(self, examples: Sequence[Example]) -> VictimOutputs:
        found = _log_probs(self.function.probabilities(examples, self.batch_size), self.mapping)
        if self.in_logits:
            return found
        probabilities = np.exp(found)
        return np.asarray(probabilities / probabilities.sum(-1, keepdims=True))


@dataclass(frozen=True)
class FunctionOnTask:
    """Function with the kind of task that it is measured on, in the place of a `ModelOnTask`; it has no gradients."""

    function: TextFunction
    evaluated: EvaluatedKind
    mapping: LabelMapping | None = None
    batch_size: int = 64

    unknown_word = None
    """A function has no tokenizer, and so no word of its own for unknown ones."""

    def check_first_pass(self, rows: TaskRows, name: str) -> None:
        """Nothing: what a function raises is its owner's to read."""

    def features(self, rows: TaskRows) -> Dataset:
        """Texts of the rows, which are all that the function reads."""
        return Dataset.from_dict({f"text_{index}": texts for index, texts in enumerate(rows.texts())})

    def outputs(self, features: Dataset) -> NDArray[np.float64]:
        """Log probabilities of the task's labels, ``[features, labels]``."""
        columns = [list(features[name][:]) for name in features.column_names]
        probabilities = self.function.probabilities(list(zip(*columns, strict=True)), self.batch_size)
        return _log_probs(probabilities, self.mapping)

    def victim(self, rows: TaskRows) -> FunctionVictim:
        return FunctionVictim(self.function, self.mapping, self.batch_size)

    def logits_victim(self) -> FunctionVictim:
        return FunctionVictim(self.function, self.mapping, self.batch_size, in_logits=True)


def _log_probs(probabilities: NDArray[np.float64], mapping: LabelMapping | None) -> NDArray[np.float64]:
    logs: NDArray[np.float64] = np.log(np.maximum(probabilities, _LEAST_PROBABILITY))
    if mapping is None:
        return logs
    if len(mapping.labels) != logs.shape[1]:
        raise InputError(
            f"a function in memory returned {logs.shape[1]} columns for {len(mapping.labels)} labels: expected a "
            "column for each label. Give the name of each column as label_names, in their order."
        )
    return np.asarray(mapping.joined(torch.from_numpy(logs)).numpy())
