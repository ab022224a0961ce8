"""Trainer as the parts of the mix-in see it."""

from typing import TYPE_CHECKING

from torch import nn
from transformers import Trainer

from alum.core.method_settings import Method
from alum.core.schedules.curriculum import Curriculum
from alum.tasks.base import TaskKind
from alum.training.config import AlumConfig
from alum.training.libraries.lookup import KnownTrainer
from alum.training.parts.drawn_texts import RowTexts
from alum.training.parts.loss_scale import LossScale
from alum.training.parts.proximal_average import ProximalAverage
from alum.training.parts.step_noise import StepNoise
from alum.training.records.attendance import Attendance
from alum.training.records.clock import StepClock
from alum.training.records.running_log import RunningLog

if TYPE_CHECKING:  # a mix-in: the Trainer that it is mixed into comes after it in the order of the bases
    _Trainer = Trainer
else:
    _Trainer = object


class TrainerWithAlum(_Trainer):
    """A Trainer, and what `alum.training.trainer.AlumMixin` gives it."""

    args: AlumConfig
    model: nn.Module
    kind: TaskKind | None
    texts: RowTexts | None
    method: Method
    adv_curriculum: Curriculum

    _known: KnownTrainer
    _average: ProximalAverage
    _clock: StepClock
    _running_log: RunningLog
    _noise: StepNoise
    _attendance: Attendance
    _loss_scale: LossScale
    _model_takes_num_items: bool

    def _method_at(self, step: int) -> Method:
        """Settings that hold at a step, counted from 0."""
        raise NotImplementedError

    def _begin_training(self) -> None:
        """Prepares for training from its first step, or where it is resumed."""

    _wants_all_logits = False
    """Whether predictions or metrics are to get the logits of every position."""
