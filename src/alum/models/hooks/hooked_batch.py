"""Clean and adversarial passes of a model on one batch: δ is added by a hook, dropout masks are replayed or not."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch
from torch import Generator, Tensor, nn

from alum.core.batch import LabelOutputs
from alum.core.divergences import Divergence
from alum.core.errors import InputError
from alum.core.method_settings import DropoutMode
from alum.core.outputs.likelihoods import Likelihood
from alum.core.randomness.random_state import keeping_random_state, random_state, set_random_state
from alum.core.randomness.row_noise import RowNoise
from alum.models.hooks.dropout import without_dropout
from alum.models.hooks.frozen import frozen
from alum.models.hooks.injection import Injection
from alum.models.hooks.label_outputs import LabelRecording

_ROUNDING = {torch.float64: 1e-6, torch.float32: 1e-4, torch.float16: 1e-2}
_COARSEST = 3e-2
"""Difference of outputs, as a share of their norm, that two equal passes may have where kernels sum in any order."""


@dataclass(frozen=True)
class DrawnPasses:
    """Passes over one of the texts that were drawn for each row, whose numbers ``[rows]`` they are given.

    ``run`` returns what `HookedBatch.run` does, ``run_with_loss`` the scaled task loss at the labels of the rows.
    ``gains`` are those of `Batch.first_order_gains`, of a gradient at x and x; None where the drawn tokens are not
    aligned with those of the rows.
    """

    num_draws: int
    run: Callable[[Tensor], Any]
    run_with_loss: Callable[[Tensor], tuple[Tensor, Any]]
    gains: Callable[[Tensor, Tensor], Tensor] | None = None


@dataclass
class HookedBatch:
    """Implements `alum.core.objective.Batch` for any ``torch.nn.Module``.

    ``run`` is a forward pass that returns what ``compared`` turns into the outputs ``[items, ...]`` between which
    ``distance`` is taken; ``run_with_loss`` returns the scaled task loss as well. ``run_clean`` stands in for it in the
    clean pass where that must run differently (its gradients not synchronised, say). ``at_labels`` is for language
    models, whose output embeddings methods may perturb, ``drawn`` for methods that change texts. ``run_averaged`` is a
    forward pass with an average of the weights, for methods with a proximal term.

    Where ``token_ids`` says of which tokens the rows are, as the mask has them, random numbers belong to the rows and
    follow from ``noise_seed``, which is to be another one in each step. Elsewhere they come from the generator that
    `alum_loss` is given.
    """

    model: nn.Module
    injection: Injection
    mask: Tensor
    run: Callable[[], Any]
    run_with_loss: Callable[[], tuple[Tensor, Any]]
    compared: Callable[[Any], Tensor]
    distance: Divergence
    likelihood: Likelihood | None = None
    dropout: DropoutMode = "shared"
    scale: Tensor | float = 1.0
    run_clean: Callable[[], tuple[Tensor, Any]] | None = None
    mask_of_pass: Callable[[], Tensor] | None = None
    """Mask where only the clean pass shows it, when it reaches x; until then ``mask`` is any tensor on its device."""
    token_ids: Callable[[], Tensor | None] | None = None
    noise_seed: int = 0
    at_labels: LabelRecording | None = None
    run_averaged: Callable[[], Any] | None = None
    drawn: DrawnPasses | None = None
    _clean_is_at_x: bool = field(default=True, repr=False)
    _state_at_start: list[Tensor] = field(default_factory=list, repr=False)
    _state_at_place: list[Tensor] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self.mask = self.injection.mask_of_rows(self.mask)

    def clean(self) -> tuple[Tensor, Tensor, Tensor]:
        return self._clean_pass(self.injection.recording)

    def clean_cut_at_x(self, start: Callable[[Tensor], Tensor] | None = None) -> tuple[Tensor, Tensor, Tensor]:
        self._clean_is_at_x = start is None
        return self._clean_pass(partial(self.injection.cutting, start=start))

    def clean_at_labels(self) -> tuple[Tensor, LabelOutputs]:
        if self.at_labels is None:
            raise InputError(
                "this method perturbs the output embeddings of labels, which language models have: give the batch of "
                "one at_labels (alum.models.hooks.label_outputs), or choose a method that perturbs the input."
            )
        with self.at_labels.recording() as recorded:
            loss, self.clean_raw = (self.run_clean or self.run_with_loss)()
        return loss, recorded(self.compared(self.clean_raw))

    def outputs(self, delta: Tensor) -> Tensor:
        with self._adversarial(delta):
            return self.compared(self.run())

    def outputs_anew(self) -> Tensor:
        return self.compared(self.run())

    @torch.no_grad()
    def averaged_outputs(self) -> Tensor:
        if self.run_averaged is None:
            raise InputError(
                "a proximal term needs an average of the weights: give the batch a run_averaged "
                "(alum.models.averaged_weights), or set proximal_weight to 0."
            )
        with self._masks():
            return self.compared(self.run_averaged())

    def task_loss(self, delta: Tensor) -> tuple[Tensor, Tensor]:
        with self._adversarial(delta):
            loss, raw = self.run_with_loss()
            return loss, self.compared(raw)

    def task_loss_cut_at_x(self, delta: Tensor) -> Tensor:
        with self._adversarial(delta, below="cut"):
            return (self.run_clean or self.run_with_loss)()[0]

    @property
    def row_noise(self) -> RowNoise | None:
        ids = None if self.token_ids is None else self.token_ids()
        if ids is None:
            return None
        ids = self.injection.mask_of_rows(ids)
        if ids.shape != self.mask.shape:
            return None
        return RowNoise.of_tokens(ids, self.mask, self.noise_seed, self.injection.num_places)

    @property
    def num_draws(self) -> int:
        return self._drawn().num_draws

    def drawn_outputs(self, draws: Tensor) -> Tensor:
        with self._masks_of_drawn():
            return self.compared(self._drawn().run(draws))

    def drawn_task_loss(self, draws: Tensor) -> Tensor:
        with self._masks_of_drawn():
            return self._drawn().run_with_loss(draws)[0]

    @torch.no_grad()
    def first_order_gains(self, gradient: Tensor) -> Tensor:
        gains = self._drawn().gains
        if gains is None:
            raise InputError(
                "text_choice 'gradient' needs to know which tokens of the drawn texts stand for which of the rows: "
                "draw them with RowTexts.drawn(…, aligned=True), or choose 'divergence'."
            )
        return gains(gradient, self.injection.recorded())

    def _drawn(self) -> DrawnPasses:
        if self.drawn is None:
            raise InputError(
                "this method changes texts: give the batch the texts that were drawn for its rows, or choose one with "
                "space 'embedding'."
            )
        return self.drawn

    def _masks_of_drawn(self) -> AbstractContextManager[None]:
        """Masks of passes over other texts, which are of other shapes: drawn anew, or none."""
        return without_dropout(self.model) if self.dropout == "off" else nullcontext()

    def divergence(self, adversarial: Tensor, clean: Tensor) -> Tensor:
        return self.distance(adversarial, clean)

    @torch.no_grad()
    def check(self) -> None:
        """Checks what the objective takes for granted: that δ = 0 changes nothing, in two passes or three.

        To be called once for a model, after a clean pass. Raises `InputError` with the reason.
        """
        zero = torch.zeros_like(self.injection.recorded(), dtype=torch.float32)
        versions = self._versions_of_weights()
        with keeping_random_state(self.mask.device), self.without_dropout(), self._masks():
            untouched = self.compared(self.run())
            with self.injection.unrecorded().adding(zero):
                is_same = self._is_same(self.compared(self.run()), untouched)
        if not untouched.isfinite().all():
            raise InputError(
                f"what {type(self.model).__name__} says of the batch are no numbers (NaN): training has diverged, or "
                "the weights are broken. Begin again with a smaller learning_rate, a longer warm-up or other weights."
            )
        if self._versions_of_weights() != versions:
            raise InputError(
                f"{type(self.model).__name__} changes its weights where it goes from training to evaluation, which "
                "passes of one step do. Choose another architecture, or adv_method 'standard'."
            )
        if is_same and self.dropout == "shared" and self._clean_is_at_x:
            is_same = self._is_same(self.outputs(zero), self.compared(self.clean_raw))
        if not is_same:
            raise InputError(
                f"a perturbation of zero changes what {type(self.model).__name__} says, so that a divergence would not "
                "be that of the perturbation: the model draws random numbers of its own in each pass, or recomputes "
                "what is perturbed. Choose another layer or model, or adv_method 'standard'."
            )

    def _versions_of_weights(self) -> list[int]:
        """How often each weight was written to; none where they are sharded, and gathered anew for each pass."""
        if any("FSDP" in (name := type(module).__name__) or "FullySharded" in name for module in self.model.modules()):
            return []
        return [weight._version for weight in self.model.parameters()]

    def _is_same(self, outputs: Tensor, others: Tensor) -> bool:
        tolerance = _ROUNDING.get(self._precision(outputs), _COARSEST)
        return not outputs.numel() or bool((outputs - others).norm() <= tolerance * others.norm())

    def _precision(self, outputs: Tensor) -> torch.dtype:
        device = self.mask.device.type
        weights = next(
            (weight.dtype for weight in self.model.parameters() if weight.is_floating_point()), outputs.dtype
        )
        return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weights

    def predicted_labels(self, outputs: Tensor) -> Tensor:
        return self._likelihood().predicted(outputs)

    def sampled_labels(self, outputs: Tensor, generator: Generator | None) -> Tensor:
        return self._likelihood().sampled(outputs, generator)

    def own_loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return self._likelihood().loss(outputs, labels).sum()

    def log_odds_against_likeliest(self, outputs: Tensor) -> Tensor | None:
        if self.likelihood is None or not self.likelihood.is_log_odds:
            return None
        return self.likelihood.loss(outputs, self.likelihood.predicted(outputs))

    @contextmanager
    def without_dropout(self) -> Iterator[None]:
        former, self.dropout = self.dropout, "off"
        try:
            yield
        finally:
            self.dropout = former

    def without_weight_gradients(self) -> AbstractContextManager[None]:
        return frozen(self.model)

    def _likelihood(self) -> Likelihood:
        if self.likelihood is None:
            raise InputError(
                "a direction of the model's own labels needs to know what its outputs stand for: give the TaskKind a "
                "likelihood (alum.core.outputs.likelihoods), or choose a method that ascends the divergence or the "
                "task loss."
            )
        return self.likelihood

    def _clean_pass(self, recording: Callable[..., Any]) -> tuple[Tensor, Tensor, Tensor]:
        # What draws before a pass reaches the perturbed place may not run again: the masks have to be equal from there.
        def remember() -> None:
            self._state_at_place = random_state(self.mask.device)
            if self.mask_of_pass is not None:
                self.mask = self.injection.mask_of_rows(self.mask_of_pass())

        self._state_at_start = random_state(self.mask.device)
        with recording(on_reaching=remember) as recorded:
            loss, self.clean_raw = (self.run_clean or self.run_with_loss)()
        x = recorded()
        if x.shape[:-1] != self.mask.shape:
            raise InputError(
                f"the vectors that are to be perturbed are {list(x.shape)}, but the batch has {list(self.mask.shape)} "
                "tokens: a perturbation would go to other places than words. Choose another layer or model."
            )
        return loss, self.compared(self.clean_raw), x

    @contextmanager
    def _adversarial(self, delta: Tensor, below: Literal["joined", "cut"] = "joined") -> Iterator[None]:
        def replay() -> None:
            if self.dropout == "shared":
                set_random_state(self.mask.device, self._state_at_place)

        with self._masks(), self.injection.adding(delta, on_reaching=replay, below=below):
            yield

    @contextmanager
    def _masks(self) -> Iterator[None]:
        """Dropout masks of a pass beside the clean one."""
        with ExitStack() as stack:
            if self.dropout == "shared":
                stack.enter_context(keeping_random_state(self.mask.device))
                set_random_state(self.mask.device, self._state_at_start)
            elif self.dropout == "off":
                stack.enter_context(without_dropout(self.model))
            yield
