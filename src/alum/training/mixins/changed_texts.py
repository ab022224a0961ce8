"""Texts in a Trainer's batches: kept beside the model's inputs, and drawn anew for each step where methods want it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.utils.data import DataLoader

from alum.attacks.text.random_changes import RandomChanges
from alum.core.errors import InputError
from alum.training.mixins.base import TrainerWithAlum
from alum.training.parts.drawn_texts import DRAWN, ROW_TEXTS, CountedDraws, KeptTexts, check_compares_rows


class ChangedTextsMixin(TrainerWithAlum):
    """Draws changed texts for the rows of each training batch, where the method compares rows with these.

    What is drawn for a row depends on seed, step and its texts alone: a resumed run draws the same, and several
    processes what one does.
    """

    def get_train_dataloader(self) -> DataLoader[Any]:
        if not self.args.method().changes_text:
            return super().get_train_dataloader()
        with self._keeping_texts():
            return super().get_train_dataloader()

    def _check_texts(self) -> None:
        """Raises `InputError` where texts cannot be changed."""
        assert self.kind is not None
        check_compares_rows(self.kind, self.method.space)
        if self.texts is None:
            raise InputError(
                f"adv_space {self.method.space!r} needs the texts of the training rows: give "
                "the trainer texts=RowTexts(columns, encode), and leave these columns in the training set."
            )
        self.texts.check(self._changes())
        if self.args.adv_fraction < 1:
            raise InputError("adv_fraction must be 1 where texts are changed: choose adv_every_steps to save cost.")

    def _draw_texts(self, batches: list[dict[str, Any]]) -> None:
        """Puts changed texts in the place of the texts in each micro-batch of a step, and counts those changed."""
        step = self.state.global_step
        method = self._method_at(step)
        for batch in batches:
            texts = batch.pop(ROW_TEXTS, None)
            if texts is None or not method.changes_text:
                continue
            assert self.texts is not None
            draws = CountedDraws(self._changes())
            batch[DRAWN] = self.texts.drawn(
                texts,
                draws,
                method.text_draws,
                self.data_collator,
                seed=f"{self.args.seed}:{step}",
                aligned=method.chooses_text_by_gradient,
            )
            self._running_log.count_texts(draws.num_drawn, draws.num_changed)

    def _changes(self) -> RandomChanges:
        assert self.texts is not None
        return self.args.text_changes(self.texts.resources)

    @contextmanager
    def _keeping_texts(self) -> Iterator[None]:
        assert self.texts is not None
        self._set_signature_columns_if_needed()
        trainer: Any = self  # which says that it has no columns before it knows them
        collator, columns = self.data_collator, list(trainer._signature_columns)
        self.data_collator, trainer._signature_columns = (
            KeptTexts(collator, self.texts.columns),
            [*columns, *self.texts.columns],
        )
        try:
            yield
        finally:
            self.data_collator, trainer._signature_columns = collator, columns
