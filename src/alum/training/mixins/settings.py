"""Settings of a Trainer's adversary, read anew when training begins and at each step."""

from typing import Any

from accelerate.utils import DistributedType

from alum.core.errors import InputError
from alum.models.hooks.injection import Injection
from alum.models.model_parts import pretrained_model
from alum.tasks.base import TaskKind
from alum.tasks.lookup import kind_of
from alum.training.combinations import check_combination, check_hooks, warn_of_rounding
from alum.training.mixins.base import TrainerWithAlum
from alum.training.mixins.changed_texts import ChangedTextsMixin
from alum.training.parts.perturbed_place import check_place


class SettingsMixin(ChangedTextsMixin, TrainerWithAlum):
    """Makes a step's method of the settings in ``args``, and refuses what model or other arguments do not allow."""

    _settings: dict[str, Any] | None = None
    """Settings of the adversary that method and curriculum were made of."""

    def _heed_settings(self) -> None:
        """Makes method and curriculum of the settings in ``args``, where these are others than the last time.

        Raises `InputError` for settings that the model or the other arguments do not allow.
        """
        settings = self.args.adversary()
        if settings == self._settings:
            return
        self.args.check_adversary()
        self.method, self.adv_curriculum = self.args.method(), self.args.curriculum()
        self._check_model()
        warn_of_rounding(self.model, self.args, self.method)
        self._settings = settings

    def _check_model(self) -> None:
        if self.kind is None:
            self.kind = self._kind_of_model()
        if self.method.alpha > 0:
            Injection(self.model, self.method.layer)  # a model that cannot be perturbed is refused
            check_place(self.method, self.model)
            state = self.accelerator.state
            check_combination(
                self.args,
                self.method,
                state.distributed_type,
                fsdp_version=getattr(getattr(state, "fsdp_plugin", None), "fsdp_version", 1),
                own_loss=self.compute_loss_func is not None,
            )
            if state.distributed_type != DistributedType.DEEPSPEED:  # whose own hooks know of several backward passes
                check_hooks(self.model, self.args, self.method)
            if self.method.changes_text:
                self._check_texts()
            if self.args.adv_fraction < 1 and self._known.no_parts:
                raise InputError(f"adv_fraction must be 1 here: {self._known.no_parts}.")

    def _kind_of_model(self) -> TaskKind | None:
        if self._known.kind is not None:
            return self._known.kind(self)
        try:
            return kind_of(pretrained_model(self.model))
        except InputError:
            if self.method.alpha > 0:
                raise
            return None
