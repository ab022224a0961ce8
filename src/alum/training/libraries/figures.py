"""Figures that Trainers of other libraries gather whenever they compute a loss, such as TRL's accuracy of tokens."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

# Read in trl 1.16 and sentence-transformers 6.2.
_FIGURES = ("_metrics", "_total_train_tokens", "accum_loss_components")


@contextmanager
def uncounted(trainer: Any) -> Iterator[None]:
    """Leaves the figures of a Trainer as they are: the loss in the ``with`` block is of an adversarial pass."""
    former = {name: _Noted.of(vars(trainer)[name]) for name in _FIGURES if name in vars(trainer)}
    try:
        yield
    finally:
        vars(trainer).update({name: noted.restored() for name, noted in former.items()})


@dataclass(frozen=True)
class _Noted:
    """Figures as they are when they are noted. A list, which grows with training, is not copied: a loss adds to it."""

    figures: Any
    inside: Any
    """Of a dictionary the parts, noted, of a list its length, of anything else nothing."""

    @classmethod
    def of(cls, figures: Any) -> "_Noted":
        if isinstance(figures, dict):
            return cls(figures, {name: cls.of(part) for name, part in figures.items()})
        return cls(figures, len(figures)) if isinstance(figures, list) else cls(copy.deepcopy(figures), None)

    def restored(self) -> Any:
        if isinstance(self.figures, dict):
            parts = {name: noted.restored() for name, noted in self.inside.items()}
            self.figures.clear()
            self.figures.update(parts)
        elif isinstance(self.figures, list):
            del self.figures[self.inside :]
        return self.figures
