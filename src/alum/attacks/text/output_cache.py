"""A cache of model outputs, so that a model runs once on inputs that come again."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from alum.attacks.text.protocol import VictimOutputs


@dataclass
class OutputCache:
    """Keeps the ``max_entries`` latest rows of a model's outputs, by a digest of the input."""

    max_entries: int = 100_000
    num_asked: int = field(default=0, init=False)
    _known: OrderedDict[bytes, VictimOutputs] = field(default_factory=OrderedDict, init=False, repr=False)

    def of(self, questions: Sequence[bytes], ask: Callable[[list[int]], VictimOutputs]) -> VictimOutputs:
        """Rows of outputs for the questions, in their order.

        ``ask`` is given the indices of the questions without a row yet, each question once, and returns their rows.
        """
        keys = [hashlib.blake2b(question, digest_size=16).digest() for question in questions]
        rows = {key: self._known[key] for key in keys if key in self._known}
        new = {key: index for index, key in enumerate(keys) if key not in rows}
        if new:
            self.num_asked += len(new)
            # Copies, since a row of an array keeps all of it in memory.
            rows |= zip(new, map(np.array, ask(list(new.values()))), strict=True)
        for key in keys:
            self._known[key] = rows[key]
            self._known.move_to_end(key)
        while len(self._known) > self.max_entries:
            self._known.popitem(last=False)
        return np.stack([rows[key] for key in keys])
