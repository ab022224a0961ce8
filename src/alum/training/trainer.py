"""Hugging Face Trainer with ALUM (`AlumTrainer`), and a mix-in that gives any other Trainer subclass the same."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import DistributedType
from torch import Tensor, nn
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils.data import Sampler, SequentialSampler
from transformers import (
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_pt_utils import LengthGroupedSampler
from transformers.trainer_utils import has_length

from alum.core.errors import InputError
from alum.core.method_settings import Method
from alum.core.objective import AlumResult, alum_loss
from alum.models.compilation import compile_as_asked, heed_hooks, is_compiled
from alum.models.hooks.hooked_batch import HookedBatch
from alum.models.inputs import Inputs
from alum.tasks.base import TaskKind
from alum.training.checkpoints import AtomicCheckpoints
from alum.training.config import AlumConfig
from alum.training.libraries.lookup import known_trainer
from alum.training.mixins.attended import AttendedMixin
from alum.training.mixins.base import TrainerWithAlum
from alum.training.mixins.gain_logs import GainLogMixin
from alum.training.mixins.hooked_batch import HookedBatchMixin
from alum.training.mixins.whole_run import WholeRunMixin
from alum.training.parts.batch_parts import Part, attacked_and_spared
from alum.training.parts.drawn_texts import RowTexts, without_drawn
from alum.training.parts.loss_scale import LossScale
from alum.training.parts.output_embeddings import check_output_embeddings
from alum.training.parts.proximal_average import ProximalAverage
from alum.training.parts.radius_control import RadiusControl
from alum.training.parts.sampling import ResumableLengthGroups
from alum.training.parts.step_noise import StepNoise
from alum.training.parts.task_losses import refuse_without_labels
from alum.training.records.attendance import Attendance
from alum.training.records.clock import ClockedOptimizer, StepClock, StepTimes
from alum.training.records.running_log import RunningLog

_FIRST_FIGURES = ("adversarial_gain", "adversarial_strength", "divergence", "task_loss", "adversarial_loss")
_FURTHER_STEPS = 3
"""Steps of ascent that the adversary is compared with at the first attacked step and the last."""


class AlumMixin(HookedBatchMixin, AttendedMixin, GainLogMixin, TrainerWithAlum):
    """Makes a Trainer subclass train with ALUM: ``class MyAlumTrainer(AlumMixin, MyTrainer)``.

    Only the loss of a training step changes; evaluation, checkpoints, schedules, clipping and accumulation are the
    Trainer's. ``args`` must be an `AlumConfig`. ``kind`` says which outputs the adversary moves; by default it follows
    from the model's head. ``texts`` says where the training rows have their texts, for methods that change them.

    The adversary's settings are read from ``args`` when training begins, which is after a trial of
    ``hyperparameter_search`` has set its own, and at each step whose settings a callback has changed.

    A subclass with a ``compute_loss`` of its own calls ``super().compute_loss`` and returns that loss as it is, or plus
    a term of its own: an adversary that is asked for and never trains is an error at the first log, and a factor on the
    loss is one where a part of it was back-propagated before (one-pass methods, ``adv_fraction`` below 1). A loss with
    class weights is a ``compute_loss_func``, or the ``compute_loss`` of the Trainer that comes after the mix-in.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        order = cls.__mro__
        if Trainer in order and order.index(Trainer) < order.index(AlumMixin):
            raise InputError(
                f"{cls.__name__} would train without an adversary: AlumMixin comes after the Trainer among its bases, "
                f"which hides what it adds. Put the mix-in first: class {cls.__name__}(AlumMixin, "
                f"{next(base.__name__ for base in cls.__bases__ if issubclass(base, Trainer))})."
            )

    def __init__(self, *args: Any, kind: TaskKind | None = None, texts: RowTexts | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not isinstance(self.args, AlumConfig):
            raise InputError(f"{type(self).__name__} needs args of type AlumConfig, not {type(self.args).__name__}.")
        compile_as_asked(self.model, self.args, self.accelerator)
        self.kind, self.texts = kind, texts
        self._known = known_trainer(self)
        self._heed_settings()
        self._prepare_records()
        self._clock = StepClock(self.args.device)
        self.add_callback(ClockedOptimizer(self._clock))
        self.add_callback(_Events(self._begin_training, self._shows_gain))
        self.add_callback(RadiusControl())
        self._average = ProximalAverage(lambda: self.model, lambda: self.method)
        self.add_callback(self._average)
        self._attendance = Attendance(lambda step: self._method_at(step).alpha > 0, self._refuse_absence)
        self.add_callback(self._attendance)
        # Items are counted for every model with labels; whether the model itself takes the count is another matter.
        self._model_takes_num_items = self.model_accepts_loss_kwargs
        if self.compute_loss_func is None:
            self.model_accepts_loss_kwargs = True
        if self.kind is not None and self.kind.shifts_labels:
            # The Trainer asks model.loss_type, which some causal models (GPT-2) leave empty.
            self._loss_shifts_labels = True

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Inputs,
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Computes the Trainer's loss, in training plus the adversarial term.

        One-pass methods back-propagate the task loss here already; the loss that is returned has the full value and the
        gradients that are still missing.
        """
        if not model.training:
            loss, outputs = self._task_loss(model, inputs, num_items_in_batch, None, return_outputs)
            return (loss, outputs) if return_outputs else loss
        self._loss_scale = LossScale()
        inputs, drawn = without_drawn(inputs)
        with self._clock.part("clean"):
            method = self._method_at(self.state.global_step)
            share = self._micro_batch_share(inputs, num_items_in_batch)
            if self._is_unlabelled(inputs):
                refuse_without_labels(method, inputs)
            attacked, spared = self._attacked_and_spared(inputs, share, method)
            if attacked is None:
                loss, outputs = self._task_loss(model, inputs, num_items_in_batch, share, return_outputs)
                if self.method.alpha > 0:
                    zero, standard = torch.zeros_like(loss.detach()), dataclasses.replace(method, alpha=0.0)
                    self._log_result(
                        AlumResult(loss, loss.detach(), zero, 0.0, zero), standard, num_items_in_batch, 0.0
                    )
                if method.alpha > 0:  # no row's turn to be attacked
                    self._control_radius(None, 1.0, num_items_in_batch)
                    loss = self._loss_scale.compared(loss, self._attend)
                return (loss, outputs) if return_outputs else loss
            spared_loss = None if spared is None else self._spared_loss(model, spared, num_items_in_batch)
        batch = self._batch(model, attacked, num_items_in_batch, method, drawn)
        with self._clock.part("adversary"):
            result = alum_loss(
                batch,
                method,
                generator=self._noise.at(self.state.global_step),
                backward=lambda loss: self._backward(loss, num_items_in_batch),
                num_gain_draws=self.args.adv_gain_draws if self._measures_gain() else 0,
                num_further_steps=_FURTHER_STEPS if self._measures_strength() else 0,
            )
        self._check_once(batch, result)
        self._control_radius(result, batch.scale, num_items_in_batch)
        if spared_loss is not None:
            loss, task_loss = result.loss + spared_loss, result.task_loss + spared_loss
            result = dataclasses.replace(result, loss=loss, task_loss=task_loss)
        self._log_result(result, method, num_items_in_batch, batch.scale)
        loss = self._loss_scale.compared(result.loss, self._attend)
        return (loss, batch.clean_raw) if return_outputs else loss

    @property
    def rows_follow_from_step(self) -> bool:
        """Whether a step has the same rows on any number of processes, as long as it has as many."""
        return False

    def _check_once(self, batch: HookedBatch, result: AlumResult) -> None:
        """Checks the model at the first batch of a training that is perturbed."""
        if self._is_to_be_checked and result.delta is not None:
            self._is_to_be_checked = False
            if not is_compiled(self.model_wrapped):  # compiled without gradients, a pass may draw other masks
                with _disable_current_modes():  # it is no part of a step's cost, which counters of FLOPs measure
                    batch.check()

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        self._clock.start_step(measured=self._logs_time() and self._logs_step(self.state.global_step + 1))
        with self._clock.part("data"):
            batches, num_items = super().get_batch_samples(*args, **kwargs)
            self._draw_texts(batches)
            self._num_rows_in_step = self._num_rows(batches)
            return batches, num_items

    def training_step(self, model: nn.Module, *args: Any, **kwargs: Any) -> Tensor:
        if self._step_at_hand != self.state.global_step:
            self._step_at_hand = self.state.global_step
            self._heed_settings()
        if is_compiled(model):
            heed_hooks()
        with self._clock.part("backward"):  # what compute_loss does inside counts for itself
            return super().training_step(model, *args, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        with self._clock.part("evaluation"):
            metrics: dict[str, float] = super().evaluate(*args, **kwargs)
        if self.args.world_size > 1 and not self.is_in_train:
            # A model that was prepared for evaluation is not wrapped for training: each process would train by itself.
            model = self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
            vars(model).pop("_is_accelerate_prepared", None)
        return metrics

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        with self._clock.part("checkpoint"):
            super()._save_checkpoint(*args, **kwargs)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.args.should_save:
            self._average.save(Path(output_dir))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            self._average.resume(Path(checkpoint))

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        self._refuse_other_scales()
        if "loss" in logs and "learning_rate" in logs:
            step, gather = self.state.global_step, self.accelerator.gather
            figures = self._running_log.flush(step, gather, is_last=step >= self.state.max_steps)
            first = {name: figures.pop(name) for name in _FIRST_FIGURES if name in figures}
            logs = {**first, **logs, **figures, **self._time_logs(self._clock.take())}
        super().log(logs, start_time)

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Any], prediction_loss_only: bool, *args: Any, **kwargs: Any
    ) -> Any:
        """Runs the Trainer's prediction step; predictions and metrics get the logits of every position."""
        if is_compiled(model):
            heed_hooks()
        self._wants_all_logits = not prediction_loss_only
        try:
            return super().prediction_step(model, inputs, prediction_loss_only, *args, **kwargs)
        finally:
            self._wants_all_logits = False

    def _get_eval_sampler(self, eval_dataset: Any) -> Sampler[int] | None:
        """In the data set's own order, in which predictions are matched with rows.

        Differs from the Trainer, which shuffles here too where training batches are grouped by length.
        """
        in_one_process = self.args.world_size <= 1 and has_length(eval_dataset)
        return SequentialSampler(eval_dataset) if in_one_process else None

    def _get_train_sampler(self, *args: Any, **kwargs: Any) -> Any:
        sampler = super()._get_train_sampler(*args, **kwargs)
        if not isinstance(sampler, LengthGroupedSampler):
            return sampler
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        return ResumableLengthGroups(sampler, seed, epoch=lambda: int(self.state.epoch or 0))

    def _begin_training(self) -> None:
        """Prepares for training from its first step, or where it is resumed, by the settings in ``args``."""
        compile_as_asked(self.model, self.args, self.accelerator)  # a model that model_init may have made anew
        self._heed_settings()
        self._check_model()
        self._run_without_padding()
        self._average.begin()
        self._prepare_records()
        self._step_at_hand = -1
        self._gain_was_logged, self._num_logs_read = False, 0
        self._is_to_be_checked = True

    def _check_model(self) -> None:
        super()._check_model()
        if self.method.alpha > 0:
            self._call_of_loss()  # a loss that cannot be followed is refused
            assert self.kind is not None
            check_output_embeddings(self.method, self.model, self.kind)

    def _prepare_records(self) -> None:
        self._running_log = RunningLog()
        self._noise = StepNoise(self.args.seed, self.args.process_index, self.args.device)

    _step_at_hand = -1
    _is_to_be_checked = False

    # -- which rows are attacked, and how -------------------------------------------------------------------------

    def _method_at(self, step: int) -> Method:
        if (step + 1) % self.args.adv_every_steps:
            return dataclasses.replace(self.method, alpha=0.0)
        now = self.adv_curriculum.at(step / max(self.state.max_steps, 1), self.method)
        if self.args.adv_target_divergence is None:
            return now
        return dataclasses.replace(now, epsilon=now.epsilon * self._radius_control.factor)

    @property
    def _radius_control(self) -> RadiusControl:
        # The Trainer makes it anew where it restores callbacks from a checkpoint.
        return next(c for c in self.callback_handler.callbacks if isinstance(c, RadiusControl))

    def _control_radius(self, result: AlumResult | None, scale: Tensor | float, num_items: Any) -> None:
        """Sets the radius by the divergence of a step's micro-batches, of which this is one; None: it is not attacked.

        All processes come here with each micro-batch of a step in which rows may be attacked.
        """
        target = self.args.adv_target_divergence
        if target is None:
            return
        if result is not None:
            self._radius_control.add(result, scale, self._loss_share(num_items))
        if self.accelerator.sync_gradients:
            self._radius_control.end_step(target, lambda sums: self.accelerator.reduce(sums, "sum"), self.args.device)

    def _attacked_and_spared(
        self, inputs: Inputs, share: Tensor | float | None, method: Method
    ) -> tuple[Part | None, Part | None]:
        if method.alpha == 0:
            return None, Part(inputs, share, None)
        step = self.state.global_step
        # All processes attack as many rows: none waits for another that has more passes.
        noise = (self._noise.common.at(step), self._noise.at(step))
        shares = share, self._adversarial_share(inputs, share, method)
        size = self._known.rows_per_example
        return attacked_and_spared(inputs, self.args.adv_fraction, shares, self._num_items, noise, size)

    def _spared_loss(self, model: nn.Module, part: Part, num_items: Any) -> Tensor:
        with self._not_averaging(model):  # the attacked rows' pass comes after it and has the gradients of both
            loss, _ = self._task_loss(model, part.inputs, num_items, part.share)
            self._backward(loss, num_items)
        return loss.detach()

    def _backward(self, loss: Tensor, num_items: Any) -> None:
        with self._clock.part("clean"):
            loss = self._loss_scale.noted(loss) * self._loss_share(num_items)
            if self.accelerator.distributed_type == DistributedType.DEEPSPEED:
                # Its engine updates the weights in the backward pass that ends a step, which this one does not.
                self.accelerator.deepspeed_engine_wrapped.backward(loss, sync_gradients=False, scale_wrt_gas=False)
            else:
                self.accelerator.backward(loss)

    # -- logs -------------------------------------------------------------------------------------------------------

    def _logs_time(self) -> bool:
        return self.args.adv_log_time

    def _time_logs(self, times: StepTimes) -> dict[str, float]:
        return {f"time_share_{part}": share for part, share in times.shares().items()} if self._logs_time() else {}

    def _log_result(self, result: AlumResult, method: Method, num_items: Any, scale: Tensor | float) -> None:
        """Adds a micro-batch to the log, of whose loss the share ``scale`` is of rows that are attacked."""
        self._running_log.add(result, method, self._loss_share(num_items), self.state.global_step, scale)


class _Events(TrainerCallback):
    """Trainer callback that calls ``begin`` when training begins, and asks ``is_logged`` of each step, from 1."""

    def __init__(self, begin: Callable[[], None], is_logged: Callable[[int], bool]) -> None:
        self._begin = begin
        self._is_logged = is_logged

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        self._begin()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        control.should_log = control.should_log or self._is_logged(state.global_step)


class AlumTrainer(WholeRunMixin, AlumMixin, AtomicCheckpoints, Trainer):
    """`transformers.Trainer` with ALUM: give it an `AlumConfig` and use it as any Trainer.

    >>> trainer = AlumTrainer(model=model, args=AlumConfig(adv_method="alum"), train_dataset=data)  # doctest: +SKIP
    >>> trainer.train()  # doctest: +SKIP
    """
