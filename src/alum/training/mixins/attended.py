"""Notice of a Trainer whose adversary is not trained, or not by the factor of the task loss."""

import torch
from torch import Tensor

from alum.core.errors import InputError
from alum.data.visible_text import counted
from alum.training.mixins.base import TrainerWithAlum

_SAME_SCALE = 1e-2  # relative; losses and the factors on them may be in bf16


class AttendedMixin(TrainerWithAlum):
    """Refuses a loss that leaves the adversarial term out, or scales it apart from a part that went back before."""

    _furthest_ratio: Tensor | None = None
    """Of the factor on a loss to that on its part that was back-propagated before, since the last look at it."""

    def _attend(self, ratio: Tensor) -> None:
        """Notes that the adversarial term is back-propagated, by ``ratio`` times the factor of a part before it."""
        self._attendance.has_trained = True
        if self._furthest_ratio is None:
            self._furthest_ratio = ratio
        else:
            is_further = (ratio - 1).abs() > (self._furthest_ratio - 1).abs()
            self._furthest_ratio = torch.where(is_further, ratio, self._furthest_ratio)

    def _refuse_other_scales(self) -> None:
        ratio = 1.0 if self._furthest_ratio is None else float(self._furthest_ratio)
        self._furthest_ratio = None
        if not abs(ratio - 1) <= _SAME_SCALE:
            raise InputError(
                f"the loss that compute_loss returned was multiplied by {ratio:.4g}, but a part of it had been "
                f"back-propagated before, without that factor (adv_method {self.method.name!r}, adv_fraction "
                f"{self.args.adv_fraction}). Return the loss of super().compute_loss as it is: a factor belongs into a "
                "compute_loss_func and, for the adversarial term, into adv_alpha."
            )

    def _refuse_absence(self, num_steps: int) -> None:
        owner = next(base for base in type(self).__mro__ if "compute_loss" in vars(base))
        why = "it was never back-propagated"
        if AttendedMixin not in owner.__bases__:  # which is the mix-in itself
            why = f"{owner.__name__} has a compute_loss of its own, which does not return that of AlumMixin"
        raise InputError(
            f"adv_method {self.method.name!r} is asked for, but in {counted(num_steps, 'step')} no adversarial loss "
            f"was trained on: {why}. Return super().compute_loss(...) there, give a loss of your own (with class "
            "weights, say) as compute_loss_func, or put AlumMixin before a Trainer that has one among the bases. To "
            "train without an adversary choose adv_method 'standard', or adv_start_fraction for the time until it "
            "enters."
        )
