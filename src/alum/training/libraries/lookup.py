"""Trainers of other libraries that are known: which outputs D compares, and whether a batch comes apart."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from alum.tasks.base import TaskKind
from alum.tasks.kinds.preference import PREFERENCE
from alum.training.libraries.sentence_transformers import Columns, kind_of_cross_encoder, kind_of_embeddings

_NO_PARTS = (
    "losses of sentence-transformers are of a whole batch, whose rows may be each other's negatives, and those of its "
    "parts do not add up"
)


@dataclass(frozen=True)
class KnownTrainer:
    """How a Trainer of another library differs from the Trainer of ``transformers``, as the mix-in sees it."""

    kind: Callable[[Any], TaskKind] | None = None
    """What D compares, from the Trainer; without it that of the model's head."""
    rows_per_example: int = 1
    """Number of rows of an example; the first ones of all examples stand before the second ones in a batch."""
    no_parts: str = ""
    """Why a batch cannot be taken apart (``adv_fraction``); empty where it can."""
    columns: Callable[[Any], Columns] | None = None
    """Makes the pass over all columns of a batch, from the Trainer, where the loss has one for each."""


_NOT_KNOWN = "it is not known how the losses of two parts of a batch add up in this Trainer"

_KNOWN = {
    "trl.SFTTrainer": KnownTrainer(),
    "trl.RewardTrainer": KnownTrainer(lambda trainer: PREFERENCE, rows_per_example=2),
    "trl.DPOTrainer": KnownTrainer(rows_per_example=2),
    "sentence_transformers.CrossEncoderTrainer": KnownTrainer(kind_of_cross_encoder, no_parts=_NO_PARTS),
    "sentence_transformers.SentenceTransformerTrainer": KnownTrainer(
        kind_of_embeddings, no_parts=_NO_PARTS, columns=Columns
    ),
}


def known_trainer(trainer: Any) -> KnownTrainer:
    """Looks a Trainer up by its class or the first of its bases that is known; the libraries are not imported."""
    order = [(base.__module__.partition(".")[0], base.__name__) for base in type(trainer).__mro__]
    for library, name in order:
        if (known := _KNOWN.get(f"{library}.{name}")) is not None:
            return known
    is_known = not {"trl", "sentence_transformers"}.intersection(library for library, _ in order)
    return KnownTrainer(no_parts="" if is_known else _NOT_KNOWN)
