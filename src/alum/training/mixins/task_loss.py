"""Task loss of a Trainer's micro-batch, and what it counts for in the step."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Trainer

from alum.core.divergences import IGNORED_LABEL
from alum.core.method_settings import Method
from alum.models.hooks.predicted_positions import head_sees_only
from alum.models.inputs import Inputs, has_labels, labels_of_items, num_rows
from alum.models.model_parts import num_virtual_tokens
from alum.training.mixins.base import TrainerWithAlum
from alum.training.parts.task_losses import loss_where, no_task_loss


class TaskLossMixin(TrainerWithAlum):
    """Computes the Trainer's own loss, weighed by items where several micro-batches or processes share a step."""

    def _task_loss(
        self,
        model: nn.Module,
        inputs: Inputs,
        num_items: Any,
        share: Tensor | float | None,
        return_outputs: bool = False,
    ) -> tuple[Tensor, Any]:
        """The Trainer's own loss, of predicted positions only, times the micro-batch's share of the step.

        Outputs are asked for only where they are wanted: a Trainer's own loss may run the model once more for them.

        Differs from the Trainer where several micro-batches share a step: it leaves the division by
        ``num_items_in_batch`` to the model, and models whose loss is a plain mean (BERT's) do not divide.
        """
        inputs = dict(inputs)
        rows = self._predicted_rows(inputs)
        if rows is not None:
            assert self.kind is not None
            assert self.kind.predicted_rows is not None
            labels = self.kind.predicted_rows(inputs["labels"])[1].unsqueeze(0)
            inputs["labels"] = labels
            if self.kind.shifts_labels:
                inputs["shift_labels"] = labels
        if self.compute_loss_func is not None or self.loss_is_scaled_for_ga:
            share = None  # it divides by num_items_in_batch itself
        elif share is not None or not self._model_takes_num_items:
            num_items = None
        with self._head(rows):
            if self._is_unlabelled(inputs):
                outputs = model(**inputs)
                return no_task_loss(outputs), outputs
            found: Any = super().compute_loss(
                model, inputs, return_outputs=return_outputs, num_items_in_batch=num_items
            )
        loss, outputs = found if return_outputs else (found, None)
        if share is None:
            has_items = model.training and not self._has_own_loss()
            return loss_where(self._num_items(inputs) > 0, loss) if has_items else loss, outputs
        return loss_where(torch.as_tensor(share > 0, device=loss.device), loss * share), outputs

    def _micro_batch_share(self, inputs: Inputs, num_items: Any) -> Tensor | float | None:
        """This micro-batch's items over all of the step's; None where a plain mean is right."""
        if num_items is None:  # then the Trainer divides by the number of micro-batches, except a loss of one's own
            return None if self.compute_loss_func is None else 1.0 / self.current_gradient_accumulation_steps
        if self.loss_is_scaled_for_ga is False:
            return None  # a loss of the Trainer's own is the mean over the micro-batch, and the Trainer divides that
        if self.current_gradient_accumulation_steps == 1 and self.args.world_size == 1:
            return None
        return self._share(self._num_items(inputs), num_items)

    def _adversarial_share(self, inputs: Inputs, share: Tensor | float | None, method: Method) -> Tensor | float | None:
        """Share of the step by which the adversarial term counts: by rows where D is of rows, labelled or not."""
        assert self.kind is not None
        if share is None or method.term != "divergence" or self.kind.compares_labelled_only:
            return share
        return share if self._num_rows_in_step is None else self._share(num_rows(inputs), self._num_rows_in_step)

    def _share(self, number: Tensor | int, of_step: Tensor | int) -> Tensor:
        # A step may have no labels at all.
        share: Tensor = torch.as_tensor(number) / torch.as_tensor(of_step).clamp_min(1)
        # DDP averages gradients over the processes, and the count is over all of them.
        return share * self.args.world_size if self.args.average_tokens_across_devices else share

    _num_rows_in_step: Tensor | int | None = None

    def _num_rows(self, batches: list[Any]) -> Tensor | int | None:
        """Rows of a step in all processes; None where nothing is weighed by them."""
        is_weighed = len(batches) > 1 or self.args.world_size > 1
        if not batches or not is_weighed or self.kind is None or self.kind.compares_labelled_only:
            return None
        rows = torch.zeros(sum(map(num_rows, batches)), dtype=torch.long, device=self.args.device)
        counted: Tensor | int | None = super()._get_num_items_in_batch([{"labels": rows}], self.args.device)
        return counted

    def _is_unlabelled(self, inputs: Inputs) -> bool:
        """Whether a training batch has no task loss, and is there for the adversarial term alone."""
        may_have_own_loss = self._has_own_loss() or not self.model.training
        return not (may_have_own_loss or has_labels(inputs))

    def _num_items(self, inputs: Inputs) -> Tensor:
        """What the mean of the task loss is over: labels that are not left out, spans, else rows."""
        labels = self._labels_of_items(inputs)
        if "labels" in inputs and self._loss_shifts_labels:
            labels = labels[..., 1:]
        return labels.ne(IGNORED_LABEL).sum()

    def _get_num_items_in_batch(self, batch_samples: list[Any], *args: Any, **kwargs: Any) -> Any:
        """Counts the items of a step, in all processes, also where the Trainer does not: without ``labels``."""
        if self.compute_loss_func is None:  # one's own loss gets no labels then, and is told of no items
            batch_samples = [batch if "labels" in batch else self._with_labels(batch) for batch in batch_samples]
        return super()._get_num_items_in_batch(batch_samples, *args, **kwargs)

    def _with_labels(self, batch: Inputs) -> Inputs:
        labels = self._labels_of_items(batch)
        return {**batch, "labels": labels, "shift_labels": labels}  # not to be shifted, whatever the model

    def _labels_of_items(self, batch: Inputs) -> Tensor:
        labels = labels_of_items(batch)
        return torch.full_like(labels, IGNORED_LABEL) if self._is_unlabelled(batch) else labels

    def _predicted_rows(self, inputs: Inputs) -> Tensor | None:
        if self.kind is None or self.kind.predicted_rows is None or "labels" not in inputs:
            return None
        if self._has_own_loss() or self._wants_all_logits or num_virtual_tokens(self.model):
            return None  # they take logits and labels of every position
        return self.kind.predicted_rows(inputs["labels"])[0]

    def _has_own_loss(self) -> bool:
        """Whether the task loss is another than the model's own."""
        own_loss = self.compute_loss_func is not None or self.label_smoother is not None
        return own_loss or self._computes_loss_itself()

    def _computes_loss_itself(self) -> bool:
        """Whether the Trainer after the mix-in has a loss of its own, which may call the model in any way."""
        return getattr(super().compute_loss, "__func__", None) is not Trainer.compute_loss

    def _head(self, rows: Tensor | None) -> AbstractContextManager[None]:
        return nullcontext() if rows is None else head_sees_only(self.model, rows)

    def _loss_share(self, num_items: Any) -> float:
        """What training_step will still multiply the loss with: 1 where it is scaled by the number of items already."""
        if self.loss_is_scaled_for_ga is not None:
            scaled = self.loss_is_scaled_for_ga
        else:
            scaled = num_items is not None or self.compute_loss_func is not None
        return 1.0 if scaled else 1.0 / self.current_gradient_accumulation_steps
