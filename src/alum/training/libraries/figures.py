"""Figures that Trainers of other libraries gather whenever they compute a loss, such as TRL's accuracy of tokens."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Read in trl 1.16 and sentence-transformers 6.2.
_FIGURES = ("_metrics", "_total_train_tokens", "accum_loss_components")


@contextmanager
def uncounted(trainer: Any) -> Iterator[None]:
    """Leaves the figures of a Trainer as they are: the loss in the ``with`` block is of an adversarial pass."""
    former = {name: copy.deepcopy(vars(trainer)[name]) for name in _FIGURES if name in vars(trainer)}
    try:
        yield
    finally:
        vars(trainer).update(former)
