"""`AlumConfig`: TrainingArguments, the settings of the adversary, all with the prefix ``adv_``, and `padding_free`."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from typing import Any

from transformers import TrainingArguments

from alum.attacks.text.base import Resources
from alum.attacks.text.random_changes import DEFAULT_WORD_SHARE, RandomChanges, check_changes, kinds_named
from alum.core.errors import InputError, SettingError
from alum.core.method_settings import Method
from alum.core.methods import METHODS, method_named
from alum.core.schedules.curriculum import Curriculum
from alum.core.schedules.radius import check_target
from alum.models.model_parts import parse_layer
from alum.training.settings import AdversarySettings, PaddingSettings

OF_METHOD = ("alpha", "ascent", "clean_side", "epsilon", "epsilon_unit", "norm", "scope", "num_steps", "step_size",
             "step_rule", "projection", "init_std", "init_noise", "dropout", "layer", "space", "text_draws",
             "text_choice", "proximal_weight", "proximal_momentum")  # fmt: skip
OF_PERTURBATION = {"epsilon_ramp_fraction": 0.0, "special_tokens": "perturb"}
"""Settings beside the method's own that need a perturbation, with the values that ask for nothing."""
OF_TEXT = {"text_changes": None, "text_word_share": None}
"""Settings beside the method's own that need texts to be changed, with the values that ask for nothing."""
OF_ADVERSARY = {
    **OF_PERTURBATION,
    **OF_TEXT,
    "alpha_ramp_fraction": 0.0,
    "fraction": 1.0,
    "every_steps": 1,
    "target_divergence": None,
}
"""Settings beside the method's own that need an adversary, with the values that ask for nothing."""


@dataclass
class AlumConfig(AdversarySettings, PaddingSettings, TrainingArguments):
    """`transformers.TrainingArguments` with the settings of the adversary; those not set are the method's own.

    For a Trainer with arguments of its own: ``@dataclass class Config(TheirConfig, AlumConfig): pass``.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        order = cls.__mro__
        for other in order[order.index(AlumConfig) + 1 :]:
            if hidden := _other_defaults(AlumConfig, other):
                raise InputError(
                    f"{cls.__name__} would lose defaults of {other.__name__} ({', '.join(hidden)}): AlumConfig comes "
                    "before it among the bases, and has those of TrainingArguments. Put AlumConfig last: "
                    f"class {cls.__name__}({other.__name__}, AlumConfig)."
                )

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[no-untyped-call]
        self.check_adversary()

    @property
    def is_padding_free(self) -> bool:
        """Whether the mix-in is to run the model without padding; a Trainer with a setting of that name does it itself.

        TRL's `SFTTrainer` and `DPOTrainer` have, and their collators leave padding out.
        """
        of_others = (cls for cls in type(self).__mro__ if cls is not PaddingSettings)
        return self.padding_free and not any(
            "padding_free" in vars(cls).get("__annotations__", {}) for cls in of_others
        )

    def adversary(self) -> dict[str, Any]:
        """Settings of the adversary as they are now, by name."""
        return {field.name: getattr(self, field.name) for field in fields(AdversarySettings)}

    def check_adversary(self) -> None:
        """Raises `InputError` for settings of the adversary that are out of their range or would change nothing."""
        method = self.method()
        self.curriculum()
        if not 0 < self.adv_fraction <= 1:
            raise InputError(f"adv_fraction must lie in (0, 1], not {self.adv_fraction}.")
        if self.adv_every_steps < 1:
            raise InputError(f"adv_every_steps must be 1 or more, not {self.adv_every_steps}.")
        if self.adv_gain_draws < 0:
            raise InputError(f"adv_gain_draws must be 0 or more, not {self.adv_gain_draws}.")
        self._refuse_idle_settings(method)
        if method.changes_text:
            check_changes(self.adv_text_change_names, self._text_word_share)
        if self.adv_target_divergence is not None and method.alpha > 0:
            self._check_target_divergence(method, self.adv_target_divergence)

    def method(self) -> Method:
        """Training method of the table with these settings put in; raises `InputError` for what does not fit.

        Made anew at each call: as with any `transformers.TrainingArguments`, settings may be changed afterwards.
        """
        with _named_as_here():
            return method_named(self.adv_method, **self._of_method())

    @property
    def adv_text_change_names(self) -> tuple[str, ...]:
        """Kinds of changes that texts are drawn by."""
        return kinds_named(self.adv_text_changes)

    @property
    def _text_word_share(self) -> float:
        return DEFAULT_WORD_SHARE if self.adv_text_word_share is None else self.adv_text_word_share

    def text_changes(self, resources: Resources) -> RandomChanges:
        """Changes that texts are drawn by; raises `InputError` where one needs a resource that is not there."""
        return RandomChanges(self.adv_text_change_names, self._text_word_share, resources)

    def curriculum(self) -> Curriculum:
        with _named_as_here():
            return Curriculum(
                start_fraction=self.adv_start_fraction or 0.0,
                alpha_ramp_fraction=self.adv_alpha_ramp_fraction,
                epsilon_ramp_fraction=self.adv_epsilon_ramp_fraction,
            )

    def _of_method(self) -> dict[str, Any]:
        """What is set of the method's own settings, None where nothing is."""
        values = {name: getattr(self, f"adv_{name}") for name in OF_METHOD}
        if self.adv_layer is not None:
            values["layer"] = parse_layer(self.adv_layer)
        return values

    def _check_target_divergence(self, method: Method, target: float) -> None:
        with _named_as_here():
            check_target(target, method)
        if self.adv_epsilon_ramp_fraction:
            raise InputError(
                "adv_target_divergence sets the radius by the divergence, adv_epsilon_ramp_fraction by the progress of "
                "training: leave one of them out. adv_alpha_ramp_fraction goes with both."
            )

    def _refuse_idle_settings(self, method: Method) -> None:
        """Raises `InputError` for a setting that would change nothing; the method's own value may always be given.

        Not where the weight of an adversary was set to 0, as in a comparison that has 0 among its weights, and not
        for adv_start_fraction, the same in all arms of a comparison.
        """
        row = METHODS[self.adv_method]
        beside: dict[str, Any] = OF_ADVERSARY
        if row.alpha == 0:
            idle = dict.fromkeys((*OF_METHOD, *beside), f"method {row.name!r} has no adversary")
        elif method.alpha == 0:
            return
        else:
            idle = method.idle_settings()
            if method.is_for_language_models:
                idle["special_tokens"] = idle["layer"]
            if "epsilon" in idle:
                idle |= dict.fromkeys(OF_PERTURBATION, idle["epsilon"])
        if "text_draws" in idle:
            idle |= dict.fromkeys(OF_TEXT, idle["text_draws"])
        given = self._of_method() | {name: getattr(self, f"adv_{name}") for name in beside}
        for name, reason in idle.items():
            default = beside[name] if name in beside else getattr(row, name)
            if given[name] not in (None, default):
                raise InputError(
                    f"adv_{name} {given[name]} has no effect with adv_method {row.name!r}: {reason}. "
                    f"Leave it out, or {_what_helps(method, name)}."
                )


def _what_helps(method: Method, name: str) -> str:
    """What to choose in words, so that a setting has an effect: where texts are changed, or else another method."""
    setting = "text_draws" if name in OF_TEXT else "epsilon" if name in OF_PERTURBATION else name
    ways: dict[str, dict[str, Any]] = {
        "give adv_text_draws 2 or more": {"text_draws": 2},
        "choose adv_space text": {"space": "text"},
        "choose adv_space text with adv_text_draws 2 or more": {"space": "text", "text_draws": 2},
        "choose adv_space both": {"space": "both"},
    }
    for way, changes in ways.items():
        # A method may not change texts at all.
        with suppress(SettingError):
            if setting not in replace(method, **changes).idle_settings():
                return way
    return "choose another method"


def _other_defaults(first: type, second: type) -> list[str]:
    """Names of fields of both dataclasses whose defaults differ."""
    ours, theirs = (getattr(cls, "__dataclass_fields__", {}) for cls in (first, second))
    return [
        name
        for name in ours
        if name in theirs
        and (ours[name].default, ours[name].default_factory) != (theirs[name].default, theirs[name].default_factory)
    ]


@contextmanager
def _named_as_here() -> Iterator[None]:
    """Gives the settings in errors of the core the prefix that they have here."""
    try:
        yield
    except SettingError as error:
        raise InputError(f"adv_{error}") from None
