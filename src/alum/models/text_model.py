"""Running of models on texts without training them: in batches of about the same length, without gradients."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from alum.models.tokenization import Tokenization

Row = TypeVar("Row")

# On a CPU a batch of so many rows costs as much a row as a larger one; it is ended before a row that is a good deal
# shorter. DeepWordBug on 200 sentences of SST-2, 32 at a time: padding adds 6 % to the tokens instead of 33 %, in three
# times as many batches, which on a GPU was not measured; PGD on 100 of them takes half the time.
ROWS_ENOUGH = 8
_LEAST_SHARE_OF_LENGTH = 7 / 8


@dataclass(frozen=True)
class TextModel:
    """Model with its tokenization, run on ``batch_size`` rows at a time at most.

    Its weights must not change once it is attacked: victims keep its outputs for texts that they are asked about again.
    """

    model: PreTrainedModel
    tokenization: Tokenization
    batch_size: int = 64

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self.tokenization.tokenizer

    @property
    def largest_batch(self) -> int:
        """Largest number of rows in a batch: ``batch_size``, but 1 for decoders without padding, which refuse more."""
        return self.batch_size if getattr(self.model.config, "pad_token_id", None) is not None else 1

    def outputs(self, inputs: Mapping[str, Tensor]) -> Any:
        """Runs the model on padded inputs, in evaluation mode, on its device, without gradients."""
        return inferred(self.model, inputs)


def inferred(module: nn.Module, inputs: Mapping[str, Tensor]) -> Any:
    """Runs a forward pass in evaluation mode, on the module's device, without gradients."""
    module.eval()
    with torch.inference_mode():
        return module(**on_device(inputs, next(module.parameters()).device))


def on_device(inputs: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {name: values.to(device) for name, values in inputs.items()}


def in_batches(
    rows: Sequence[Row], lengths: Sequence[int], batch_size: int, run: Callable[[list[Row]], Sequence[Any]]
) -> list[Any]:
    """Runs rows in batches of about the same length; gives what ``run`` returns for each row, in the rows' order."""
    found: dict[int, Any] = {}
    for batch in batches_by_length(lengths, batch_size, ROWS_ENOUGH):
        found.update(zip(batch, run([rows[index] for index in batch]), strict=True))
    return [found[index] for index in range(len(rows))]


def batches_by_length(lengths: Sequence[int], batch_size: int, rows_enough: int | None = None) -> Iterator[list[int]]:
    """Groups rows of about the same length, the longest first, in batches of at most ``batch_size``: their indices.

    A batch of ``rows_enough`` or more ends before a row that has less than 7/8 of its first one's length.

    >>> list(batches_by_length([1, 5, 3], batch_size=2))
    [[1, 2], [0]]
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        is_enough = rows_enough is not None and len(batch) >= rows_enough
        is_shorter = is_enough and lengths[index] < _LEAST_SHARE_OF_LENGTH * lengths[batch[0]]
        if batch and (len(batch) == batch_size or is_shorter):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
