"""Settings of the adversary, all with the prefix ``adv_``, and of padding, importable without torch.

What trains with them is `alum.training.config.AlumConfig`, which needs torch and transformers.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from alum.attacks.text.random_changes import CHANGES, DEFAULT_CHANGES, DEFAULT_WORD_SHARE
from alum.core.method_settings import (
    Ascent,
    CleanSide,
    DropoutMode,
    EpsilonUnit,
    Noise,
    Norm,
    Projection,
    Scope,
    Space,
    StepRule,
    TextChoice,
)
from alum.core.methods import METHODS

_DEFAULT_METHOD = "alum_one_pass"


def _override(setting: str, text: str) -> Any:
    return field(default=None, metadata={"help": f"{text} ({_default_by_method(setting)})."})


def _default_by_method(setting: str) -> str:
    """Text of a setting's default: the value of the default method, or of most, and those of methods that differ."""
    names_by_value: dict[str, list[str]] = {}
    concerned = [method for method in METHODS.values() if setting not in method.idle_settings()]
    for method in concerned or METHODS.values():  # those of texts concern a method in another adv_space
        value = getattr(method, setting)
        text = f"{value:.3g}" if isinstance(value, float) else str(value)
        names_by_value.setdefault(text, []).append(method.name)
    first = max(names_by_value, key=lambda text: (_DEFAULT_METHOD in names_by_value[text], len(names_by_value[text])))
    others = [f"{', '.join(names)}: {text}" for text, names in names_by_value.items() if text != first]
    return "; ".join([f"default: {first}", *others])


@dataclass
class AdversarySettings:
    """Settings of the adversary; those not set are the method's own."""

    adv_method: str = field(
        default=_DEFAULT_METHOD,
        metadata={"help": f"Training method: {', '.join(METHODS)}."},
    )
    adv_alpha: float | None = _override("alpha", "Weight of the adversarial term")
    adv_ascent: Ascent | None = _override(
        "ascent",
        "Objective that the perturbation maximises: the divergence, the task loss, or the loss at the label that the "
        "model finds most likely or at one drawn from its prediction",
    )
    adv_clean_side: CleanSide | None = _override(
        "clean_side",
        "How the divergence is differentiated on its clean side: with the adversarial side, two graphs alive; first, "
        "one graph alive at a time; or not at all",
    )
    adv_epsilon: float | None = _override("epsilon", "Radius of the perturbation's ball")
    adv_epsilon_unit: EpsilonUnit | None = _override(
        "epsilon_unit", "Unit of the radius: relative to the size of the embeddings, or absolute"
    )
    adv_norm: Norm | None = _override("norm", "Norm of the ball")
    adv_scope: Scope | None = _override("scope", "One ball per token or per sequence")
    adv_num_steps: int | None = _override("num_steps", "Ascent steps K")
    adv_step_size: float | None = _override("step_size", "Length of an ascent step as a fraction of the radius")
    adv_step_rule: StepRule | None = _override("step_rule", "What a step makes of the gradient")
    adv_projection: Projection | None = _override("projection", "Projection on the ball, or the released rescaling")
    adv_init_std: float | None = _override(
        "init_std", "Standard deviation of the first perturbation, as a share of the radius"
    )
    adv_init_noise: Noise | None = _override("init_noise", "Distribution of the first perturbation's coordinates")
    adv_dropout: DropoutMode | None = _override(
        "dropout", "Dropout masks of the adversarial passes, from what is perturbed on"
    )
    adv_layer: str | None = _override(
        "layer", "What is perturbed: word, embeddings, the number of a block, or several: word,4"
    )
    adv_space: Space | None = _override(
        "space",
        "Where the adversary changes the input: at the embeddings, in the text (of kinds of task with one output a "
        "row), or both, with a term each",
    )
    adv_text_changes: str | None = field(
        default=None,
        metadata={
            "help": f"Changes of words that texts are drawn by, of {', '.join(CHANGES)} "
            f"(default: {','.join(DEFAULT_CHANGES)})."
        },
    )
    adv_text_word_share: float | None = field(
        default=None,
        metadata={"help": f"Share of a text's words that are changed (default: {DEFAULT_WORD_SHARE})."},
    )
    adv_text_draws: int | None = _override(
        "text_draws", "Texts drawn for a row, of which one is taken by adv_text_choice"
    )
    adv_text_choice: TextChoice | None = _override(
        "text_choice",
        "Which of several texts is taken: the one of the largest divergence, found by a pass for each, or by the "
        "gradient of the task loss the one that raises it most to first order",
    )
    adv_proximal_weight: float | None = _override(
        "proximal_weight", "Weight of the proximal term, the divergence from what an average of former weights predicts"
    )
    adv_proximal_momentum: float | None = _override(
        "proximal_momentum", "Momentum of that average; at most 0.99 in the first tenth"
    )
    adv_target_divergence: float | None = field(
        default=None,
        metadata={
            "help": "Divergence in nats that the adversarial loss is to have: the radius is changed from step to step "
            "until it has. Adversaries, and noise beside them, are then equally strong (default: the radius stays)."
        },
    )
    adv_special_tokens: Literal["perturb", "keep"] = field(
        default="perturb", metadata={"help": "Whether [CLS], [SEP] and the like are perturbed."}
    )
    adv_fraction: float = field(
        default=1.0,
        metadata={
            "help": "Share of each batch's rows that are attacked, rounded by chance; the others train as standard."
        },
    )
    adv_every_steps: int = field(
        default=1, metadata={"help": "Attack at every n-th step only; the others are standard steps."}
    )
    adv_start_fraction: float | None = field(
        default=None,
        metadata={
            "help": "Share of training that is standard before the adversary enters "
            "(default: 0, and 0.5 when pre-training from scratch)."
        },
    )
    adv_alpha_ramp_fraction: float = field(
        default=0.0, metadata={"help": "Share of training over which alpha then grows from 0."}
    )
    adv_epsilon_ramp_fraction: float = field(
        default=0.0, metadata={"help": "Share of training over which the radius then grows from 0."}
    )
    adv_gain_draws: int = field(
        default=2,
        metadata={
            "help": "Random perturbations to compare the adversary with at logging steps, the first attacked and the "
            "last; 0 measures nothing."
        },
    )
    adv_log_time: bool = field(
        default=False,
        metadata={"help": "Log the share of time in each part of the steps, as pre-training always does."},
    )


@dataclass
class PaddingSettings:
    """Setting of what a model does with padding."""

    padding_free: bool = field(
        default=False,
        metadata={
            "help": "Run the model on the tokens of a batch without its padding, in architectures that can: the same "
            "results, in less time where rows differ in length."
        },
    )
