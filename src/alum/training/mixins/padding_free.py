"""A Trainer whose model runs without padding while it is trained."""

from typing import Any

from accelerate.utils import DistributedType

from alum.core.errors import InputError
from alum.models.hooks.padding_free import PaddingFree, check_padding_free
from alum.training.mixins.settings import SettingsMixin
from alum.training.mixins.task_loss import TaskLossMixin


class PaddingFreeMixin(SettingsMixin, TaskLossMixin):
    """Leaves padding out from the beginning of a training to its end, evaluations on the way included."""

    _padding_free: PaddingFree | None = None

    def train(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().train(*args, **kwargs)
        finally:
            self._pad_again()

    def _run_without_padding(self) -> None:
        """Runs the model without padding from now on, where ``args`` ask for it."""
        self._pad_again()
        if self.args.is_padding_free:
            self._padding_free = PaddingFree(self.model)

    def _pad_again(self) -> None:
        if self._padding_free is not None:
            self._padding_free.remove()
            self._padding_free = None

    def _check_model(self) -> None:
        super()._check_model()
        if not self.args.is_padding_free or self._padding_free is not None:
            return
        check_padding_free(self.model)
        reason = ""
        if self._computes_loss_itself():
            reason = f"in {type(self).__name__}, which calls the model in a way of its own"
        elif self.args.torch_compile:
            reason = "with torch_compile: batches would differ in their number of tokens at each step"
        elif self.accelerator.distributed_type == DistributedType.FSDP and not self.accelerator.is_fsdp2:
            reason = "with FSDP1, which has weights in another form: use FSDP2, fsdp_version: 2"
        if reason:
            raise InputError(f"padding_free does not work {reason}. Leave it out.")
