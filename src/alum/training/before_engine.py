"""Evaluation before the first step, for which DeepSpeed has no engine."""

from collections.abc import Iterator
from contextlib import contextmanager

from transformers import Trainer

from alum.models.loading.weights_in_parts import whole_weights


@contextmanager
def before_engine(trainer: Trainer) -> Iterator[None]:
    """Has ``trainer`` evaluate the model as it is, with all its weights whole, in the processes that it has.

    The Trainer would make an engine for evaluation alone, which DeepSpeed refuses with ZeRO 1 and 2, and after which
    the Trainer cannot train. Without DeepSpeed nothing changes.
    """
    engine, trainer.is_deepspeed_enabled = trainer.is_deepspeed_enabled, False
    try:
        assert trainer.model is not None
        with whole_weights(trainer.model):
            yield
    finally:
        trainer.is_deepspeed_enabled = engine
