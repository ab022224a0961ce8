"""Settings of one adversarial training method: the choices of each, which go together, which have no effect."""

import dataclasses
from dataclasses import dataclass
from typing import Literal, get_args, get_origin

from alum.core.errors import SettingError

# The choices of a method's settings, each in this place only.
LossTerm = Literal["divergence", "task_loss", "ascent_losses", "output_embeddings"]
Ascent = Literal["divergence", "task_loss", "predicted", "sampled"]
GradientSource = Literal["own_pass", "task_backward", "clean_pass"]
CleanSide = Literal["joint", "first", "constant"]
StepRule = Literal["normalized", "sign", "raw"]
Norm = Literal["l2", "linf"]
Scope = Literal["token", "sequence"]
Projection = Literal["ball", "rescale"]
EpsilonUnit = Literal["relative", "absolute"]
Noise = Literal["normal", "uniform"]
DropoutMode = Literal["shared", "independent", "off"]
Space = Literal["embedding", "text", "both"]
TextChoice = Literal["divergence", "gradient"]
Layer = Literal["word", "embeddings"] | int
Layers = Layer | tuple[Layer, ...]
_DEPTHS: dict[Layer, Layer] = {"word": -2, "embeddings": -1}  # beside the numbers of blocks


@dataclass(frozen=True)
class Method:
    """One adversarial training method: the settings of the perturbation, its weight, its source.

    ``epsilon`` is the radius of the ball and never a division guard. With ``epsilon_unit="relative"`` it counts in
    units of `embedding_scale`.
    """

    name: str
    """Name in tables and settings."""
    source: str
    """Where the method was published."""
    differences: str = ""
    """What differs here from the source."""
    alpha: float = 1.0
    """Weight α of the adversarial term."""
    term: LossTerm = "divergence"
    """Term added to the task loss: the divergence at δ, or the task loss at δ. Or there is no other loss than those of
    the ascent's passes (`alum.core.freelb`), and alpha is the weight of what the ascent adds. Or δ is at the
    output embeddings of labels, not at x, and the term is what it adds to the task loss, from the clean pass's own
    outputs (`alum.core.outputs.adversarial_softmax`)."""
    ascent: Ascent = "divergence"
    """Objective that δ maximises: the divergence, the task loss, or -log p of the label that the clean pass finds most
    likely or of one drawn from its prediction. The last two have D's direction in the mean: D is of second order in δ,
    D ≈ δᵀFδ with the Fisher information F, and ∇log p(ŷ), ŷ ~ p, is a draw with covariance F (Martens 2014,
    arXiv:1412.1193); labels of the model's own do not leak the right ones (Kurakin et al. 2017, arXiv:1611.01236)."""
    gradient: GradientSource = "own_pass"
    """Source of the first step's gradient: a pass of its own, the task loss's backward pass, made anyway, or one
    backward pass to x through the clean pass's graph. Further steps have passes of their own."""
    clean_side: CleanSide = "joint"
    """How D is differentiated on its clean side: with the adversarial side, both graphs alive; first, by an adversarial
    pass without a graph, so that one graph is alive at a time; or not at all (constant)."""
    num_steps: int = 1
    """Number K of ascent steps; 0 is noise."""
    step_size: float = 1.0
    """Length of an ascent step in radii; with step rule ``"raw"`` the plain factor on the gradient."""
    step_rule: StepRule = "normalized"
    """What an ascent step goes along: the gradient divided by its norm, its sign, or the gradient itself."""
    norm: Norm = "l2"
    """Norm of the ball: L2 or L∞."""
    scope: Scope = "token"
    """Whose δ has a ball of its own: each token, or each sequence."""
    projection: Projection = "ball"
    """What brings δ back into the ball: it ends at the border, or δ is scaled to the radius always."""
    epsilon: float = 0.03
    """Radius ε of the ball."""
    epsilon_unit: EpsilonUnit = "relative"
    """What ε counts in: `embedding_scale` (relative), or the embeddings' own unit."""
    init_std: float = 0.0
    """Standard deviation of the first δ as a share of the radius: of each coordinate (L∞), or of its length (L2)."""
    init_noise: Noise = "normal"
    """Distribution of the first δ's coordinates; a uniform one is as wide as its standard deviation says: ±√3 of it."""
    dropout: DropoutMode = "shared"
    """Masks of the two sides: shared, independent, or none in the adversarial passes."""
    space: Space = "embedding"
    """Where the adversary changes the input: at embeddings, by δ; in the text, by taking one of the texts that were
    drawn for each row, whose passes have dropout masks of their own or, with dropout off, none; or both, with a term
    each, of the same weight."""
    text_draws: int = 1
    """Texts that are drawn for each row, of which one is taken by ``text_choice``; 1 is random."""
    text_choice: TextChoice = "divergence"
    """Which of several texts is taken: that of the largest divergence, found by passes without gradients, or the one
    that raises the task loss most to first order, by the gradient of its own backward pass."""
    layer: Layers = "word"
    """Where δ is added; of several places, in the order of a forward pass, each has a δ and a radius of its own."""
    proximal_weight: float = 0.0
    """Weight μ of the proximal term D(f(x; θ), f(x; θ̃)) beside the adversarial one; θ̃ is an average of the weights of
    former steps and a constant. The step then stays near in what the model predicts (arXiv:1911.03437, section 3)."""
    proximal_momentum: float = 0.999
    """Momentum β of the average, θ̃ ← β·θ̃ + (1 - β)·θ after each step (`alum.core.schedules.averaging`)."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if get_origin(field.type) is Literal and getattr(self, field.name) not in get_args(field.type):
                choices = ", ".join(map(repr, get_args(field.type)))
                raise SettingError(field.name, f"must be one of {choices}, not {getattr(self, field.name)!r}.")
        self._check_layers()
        if not self.epsilon > 0 or self.epsilon == float("inf"):
            raise SettingError(
                "epsilon",
                f"is the radius of the ball and must be above 0, not {self.epsilon}. "
                "To train without a perturbation choose the method 'standard' or alpha 0.",
            )
        for name in ("alpha", "num_steps", "step_size", "init_std", "proximal_weight"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise SettingError(name, f"must be 0 or more and finite, not {getattr(self, name)}.")
        self._check_ascent()
        self._check_clean_side()
        self._check_proximal_term()
        if self.term == "ascent_losses":
            self._check_ascent_losses()
        if self.changes_text:
            self._check_text()

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Places where δ is added."""
        return self.layer if isinstance(self.layer, tuple) else (self.layer,)

    @property
    def blocks(self) -> tuple[int, ...]:
        """Numbers of the blocks at whose input δ is added."""
        return tuple(layer for layer in self.layers if isinstance(layer, int))

    def _check_layers(self) -> None:
        for layer in self.layers:
            if not (isinstance(layer, int) or layer in ("word", "embeddings")):
                raise SettingError("layer", f"must be 'word', 'embeddings' or the number of a block, not {layer!r}.")
        depths = [_DEPTHS.get(layer, layer) for layer in self.layers]
        if not depths or depths != sorted(set(depths), key=int):
            raise SettingError(
                "layer", f"must name each place once, in the order of a forward pass, not {list(self.layers)}."
            )

    def _check_ascent(self) -> None:
        if self.gradient == "task_backward" and self.ascent not in ("task_loss", "predicted"):
            raise SettingError(
                "ascent",
                f"must be 'task_loss' or 'predicted' with method {self.name!r}, not {self.ascent!r}: its gradient is "
                "that of the task loss's own backward pass, turned for 'predicted' where the prediction is wrong. For "
                "others choose 'alum_virtual', 'alum' or 'pgd'.",
            )
        if self.gradient == "task_backward" and self.num_steps != 1:
            raise SettingError(
                "num_steps",
                f"must be 1 with method {self.name!r}, not {self.num_steps}: its gradient is that of the task loss's "
                "own backward pass, which gives exactly one ascent step. "
                "For more steps choose 'alum' or 'pgd'.",
            )
        if self.step_rule == "raw" and (self.gradient == "task_backward" or self.ascent in ("predicted", "sampled")):
            raise SettingError(
                "step_rule",
                f"cannot be 'raw' with method {self.name!r}: the gradient that it ascends carries the scale of the "
                "batch size, the loss scaler or the model's confidence. Choose 'normalized' or 'sign'.",
            )
        if self.gradient == "clean_pass" and self.ascent not in ("predicted", "sampled"):
            raise SettingError(
                "ascent",
                f"must be 'predicted' or 'sampled' with method {self.name!r}, not {self.ascent!r}: at the clean pass "
                "the divergence has no gradient. For others choose 'alum' or 'pgd'.",
            )
        if self.gradient == "clean_pass" and self.num_steps == 0:
            raise SettingError(
                "num_steps", f"must be 1 or more with method {self.name!r}, not 0. For none choose 'noise' or 'r_drop'."
            )

    def _check_clean_side(self) -> None:
        if self.gradient == "task_backward" and self.clean_side != "constant" and self.term == "divergence":
            raise SettingError(
                "clean_side",
                f"must be 'constant' with method {self.name!r}, not {self.clean_side!r}: the clean pass is "
                "back-propagated before δ is known. For both sides choose 'alum_virtual'.",
            )
        if self.clean_side == "first" and self.gradient == "clean_pass" and self.num_steps > 1:
            raise SettingError(
                "num_steps",
                f"must be 1 with method {self.name!r} and clean_side 'first', not {self.num_steps}: the clean pass's "
                "graph, which gives the first step, would be alive in the others. For more choose 'alum' with ascent "
                f"{self.ascent!r}, or clean_side 'constant'.",
            )
        if self.dropout == "off" and self.clean_side == "first":
            raise SettingError(
                "clean_side",
                "cannot be 'first' with dropout 'off', where D's clean side is a pass of its own without dropout. "
                "Choose 'joint' or 'constant'.",
            )

    def _check_proximal_term(self) -> None:
        if not 0 <= self.proximal_momentum < 1:
            raise SettingError("proximal_momentum", f"must lie in [0, 1), not {self.proximal_momentum}.")
        if self.proximal_weight and (self.has_one_graph or self.is_for_language_models):
            raise SettingError(
                "proximal_weight",
                f"must be 0 with method {self.name!r} as it is set: the clean pass, where the term is taken, is back-"
                "propagated before δ is known, or δ is not at x. Choose 'smart' or 'alum', with clean_side 'joint'.",
            )

    def _check_ascent_losses(self) -> None:
        needed = {
            "ascent": (self.ascent == "task_loss", "'task_loss' (these are the losses that it trains on)"),
            "gradient": (self.gradient == "own_pass", "'own_pass' (each of its passes gives a gradient)"),
            "num_steps": (self.num_steps >= 2, "2 or more (the last step's pass ascends no further)"),
            "step_rule": (self.step_rule != "raw", "'normalized' or 'sign' (its gradients have the loss's scale)"),
            "dropout": (self.dropout != "off", "'shared' or 'independent' (it has no pass but these)"),
            "layer": (self.layer in ("word", "embeddings"), "'word' or 'embeddings'"),
            "alpha": (self.alpha <= 1, "at most 1 (where all its passes weigh the same)"),
        }
        for name, (fits, expected) in needed.items():
            if not fits:
                raise SettingError(
                    name,
                    f"must be {expected} with method {self.name!r}, not {getattr(self, name)!r}. "
                    "For others choose 'pgd'.",
                )

    def _check_text(self) -> None:
        if self.text_draws < 1:
            raise SettingError("text_draws", f"must be 1 or more, not {self.text_draws}.")
        if self.term not in ("divergence", "task_loss"):
            raise SettingError(
                "space",
                f"must be 'embedding' with method {self.name!r}, not {self.space!r}: its term is of δ alone. "
                "Choose 'alum', 'pgd' or another whose term is the divergence or the task loss.",
            )
        if self.chooses_text_by_gradient:
            self._check_text_choice()
        if self.differentiates_clean_side_first:
            raise SettingError(
                "clean_side",
                f"must be 'joint' or 'constant' with space {self.space!r}, not 'first': the clean pass's graph would "
                "be gone before the texts that were drawn are compared with it.",
            )

    def _check_text_choice(self) -> None:
        if self.gradient != "task_backward" or self.layers != ("word",):
            raise SettingError(
                "text_choice",
                f"cannot be 'gradient' with method {self.name!r} at layer {self.layer!r}: it is by the gradient that "
                "the task loss's own backward pass leaves at the word embeddings, before texts are compared. Choose "
                "'alum_one_pass' or 'fgm' at layer 'word', or 'divergence'.",
            )

    def idle_settings(self) -> dict[str, str]:
        """Settings that have no effect in this method, each with the reason.

        >>> from alum.core.methods import METHODS
        >>> METHODS["noise"].idle_settings()["step_size"]
        'no ascent step is taken (num_steps 0)'
        """
        idle: dict[str, str] = {}
        if not self.changes_text:
            idle |= dict.fromkeys(("text_draws", "text_choice"), "no text is changed (space 'embedding')")
        elif self.text_draws == 1:
            idle["text_choice"] = "a single text is drawn (text_draws 1)"
        if self.space == "text":
            of_delta = ("ascent", "num_steps", "step_size", "step_rule", "norm", "scope", "projection", "epsilon",
                        "epsilon_unit", "init_std", "init_noise", "layer")  # fmt: skip
            idle |= dict.fromkeys(of_delta, "the adversary changes the text, and no embeddings (space 'text')")
            if self.dropout != "off":
                idle["dropout"] = "passes over changed texts have masks of their own (space 'text')"
        if self.is_for_language_models:
            unused = ("ascent", "clean_side", "num_steps", "step_size", "step_rule", "norm", "scope", "projection",
                      "init_std", "init_noise", "dropout", "layer", "proximal_momentum")  # fmt: skip
            return idle | dict.fromkeys(unused, "its δ is at the output embeddings of the labels, in closed form")
        if self.num_steps == 0 and self.space != "text":
            reason = "no ascent step is taken (num_steps 0)"
            idle |= dict.fromkeys(("ascent", "step_size", "step_rule"), reason)
            if self.init_std == 0:
                reason = "nothing is perturbed (num_steps 0, init_std 0)"
                idle |= dict.fromkeys(("epsilon", "epsilon_unit", "norm", "scope", "projection"), reason)
        if self.init_std == 0 and self.space != "text":
            idle["init_noise"] = "δ starts at zero (init_std 0)"
        normalizes = self.step_rule == "normalized" and self.num_steps > 0
        if self.norm == "linf" and self.projection == "ball" and not normalizes:
            idle.setdefault("scope", "norm linf bounds each coordinate by itself")
        if self.term != "divergence":
            idle["clean_side"] = "the term is the task loss at δ, which has no clean side"
        if self.proximal_weight == 0:
            idle["proximal_momentum"] = "there is no proximal term (proximal_weight 0)"
        return idle

    @property
    def is_for_language_models(self) -> bool:
        """Whether it perturbs output embeddings of tokens, which only language models have."""
        return self.term == "output_embeddings"

    @property
    def changes_text(self) -> bool:
        """Whether rows are compared with, or trained at, texts that were drawn for them."""
        return self.alpha > 0 and self.space != "embedding"

    @property
    def chooses_text_by_gradient(self) -> bool:
        return self.changes_text and self.text_draws > 1 and self.text_choice == "gradient"

    @property
    def place(self) -> str:
        """Where texts are changed, in words that follow the method's name; empty where only embeddings are."""
        if not self.changes_text:
            return ""
        return " in the text" if self.space == "text" else " at the embeddings and in the text"

    @property
    def has_proximal_term(self) -> bool:
        return self.alpha > 0 and self.proximal_weight > 0

    @property
    def has_one_graph(self) -> bool:
        """Whether the clean pass is back-propagated before the adversarial one: one graph is alive at a time."""
        if self.alpha == 0 or self.is_for_language_models:
            return False
        if self.space == "text":
            return self.chooses_text_by_gradient
        return self.gradient == "task_backward" or self.term != "divergence" or self.clean_side != "joint"

    @property
    def differentiates_clean_side_first(self) -> bool:
        return self.alpha > 0 and self.term == "divergence" and self.clean_side == "first"

    @property
    def ascends_before_clean_graph(self) -> bool:
        """Whether the clean pass runs once more, without a graph, so that an ascent pass's graph is alone."""
        return self.differentiates_clean_side_first and self.num_own_passes > 0

    @property
    def num_own_passes(self) -> int:
        """Number of ascent steps whose gradient comes from a pass of its own, which trains nothing."""
        if self.term == "ascent_losses":
            return 0
        return self.num_steps if self.gradient == "own_pass" else max(self.num_steps - 1, 0)
