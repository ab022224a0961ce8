"""Settings of the adversary, all with the prefix ``adv_``, importable without torch.

What trains with them is `alum.training.config.AlumConfig`, which needs torch and transformers.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from alum.core.methods import (
    METHODS,
    Ascent,
    CleanSide,
    DropoutMode,
    EpsilonUnit,
    Noise,
    Norm,
    Projection,
    Scope,
    StepRule,
)


def _override(text: str) -> Any:
    return field(default=None, metadata={"help": f"{text} (default: the method's own)."})


@dataclass
class AdversarySettings:
    """Settings of the adversary; those not set are the method's own."""

    adv_method: str = field(
        default="alum_one_pass",
        metadata={"help": f"Training method: {', '.join(METHODS)}."},
    )
    adv_alpha: float | None = _override("Weight of the adversarial term")
    adv_ascent: Ascent | None = _override(
        "Objective that the perturbation maximises: the divergence, the task loss, or the loss at the label that the "
        "model finds most likely or at one drawn from its prediction"
    )
    adv_clean_side: CleanSide | None = _override(
        "How the divergence is differentiated on its clean side: with the adversarial side, two graphs alive; first, "
        "one graph alive at a time; or not at all"
    )
    adv_epsilon: float | None = _override("Radius of the perturbation's ball")
    adv_epsilon_unit: EpsilonUnit | None = _override(
        "Unit of the radius: relative to the size of the embeddings, or absolute"
    )
    adv_norm: Norm | None = _override("Norm of the ball")
    adv_scope: Scope | None = _override("One ball per token or per sequence")
    adv_num_steps: int | None = _override("Ascent steps K")
    adv_step_size: float | None = _override("Length of an ascent step as a fraction of the radius")
    adv_step_rule: StepRule | None = _override("What a step makes of the gradient")
    adv_projection: Projection | None = _override("Projection on the ball, or the released rescaling")
    adv_init_std: float | None = _override("Standard deviation of the first perturbation, as a share of the radius")
    adv_init_noise: Noise | None = _override("Distribution of the first perturbation's coordinates")
    adv_dropout: DropoutMode | None = _override("Dropout masks of the adversarial passes, from what is perturbed on")
    adv_layer: str | None = _override("What is perturbed: word, embeddings, the number of a block, or several: word,4")
    adv_proximal_weight: float | None = _override(
        "Weight of the proximal term, the divergence from what an average of former weights predicts"
    )
    adv_proximal_momentum: float | None = _override("Momentum of that average; at most 0.99 in the first tenth")
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
