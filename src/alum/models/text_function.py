"""A function from texts to probabilities, of any framework, that stands in the place of a model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from alum.core.errors import InputError

_TOLERANCE = 1e-3  # of sums of probabilities, in half precision too


@dataclass(frozen=True)
class TextFunction:
    """Function from a list of texts, or of pairs of texts, to label probabilities ``[texts, labels]``.

    What it returns may be any array, tensor or list of lists. ``label_names`` are in the order of its columns; None
    where that is the order of the rows' labels.
    """

    function: Callable[[list[Any]], Any]
    label_names: tuple[str, ...] | None = None

    name_or_path = "a function in memory"

    def probabilities(self, examples: Sequence[tuple[str, ...]], batch_size: int = 64) -> NDArray[np.float64]:
        """Calls the function on at most ``batch_size`` examples at a time; probabilities ``[examples, labels]``.

        Raises `InputError` for an answer that is no probability for each label of each text.
        """
        parts = [self._asked(examples[start : start + batch_size]) for start in range(0, len(examples), batch_size)]
        if len({part.shape[1] for part in parts}) > 1:
            raise InputError(f"{self.name_or_path} returned another number of labels at each call: {_EXPECTED}.")
        return np.concatenate(parts)

    def _asked(self, examples: Sequence[tuple[str, ...]]) -> NDArray[np.float64]:
        outputs = self.function([example[0] if len(example) == 1 else tuple(example) for example in examples])
        if isinstance(outputs, Tensor):
            outputs = outputs.detach().double().cpu().numpy()
        try:
            found = np.asarray(outputs, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(f"{self.name_or_path} returned {type(outputs).__name__}: {_EXPECTED}.") from None
        if found.ndim != 2 or len(found) != len(examples) or found.shape[1] < 2:
            raise InputError(
                f"{self.name_or_path} returned an array of shape {list(found.shape)} for {len(examples)} texts: "
                f"{_EXPECTED}."
            )
        if self.label_names is not None and found.shape[1] != len(self.label_names):
            raise InputError(
                f"{self.name_or_path} returned {found.shape[1]} columns, but the labels are "
                f"{', '.join(self.label_names)}: give the name of each column as label_names, in their order."
            )
        if not (found >= 0).all() or not (abs(found.sum(1) - 1) <= _TOLERANCE).all():
            raise InputError(
                f"{self.name_or_path} returned rows that are no probabilities, such as {found[0].tolist()}: expected "
                "numbers of 0 or more that add up to 1. Of logits take the softmax first."
            )
        return found


_EXPECTED = "expected probabilities [texts, labels], a row for each text and a column for each of two or more labels"
