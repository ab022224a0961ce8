"""Interface between the objective and a model on a batch: functions of the perturbation."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from torch import Generator, Tensor

from alum.core.randomness.row_noise import RowNoise


@dataclass(frozen=True)
class LabelOutputs:
    """Outputs of a language model where it predicts labels: ``logits`` ``[items, vocabulary]``, ``labels`` ``[items]``.

    Logits are products of ``hidden`` ``[items, hidden]`` with the output embeddings, plus a bias. ``label_norms``
    ``[items]`` are the L2 norms of the labels' output embeddings, without a graph.
    """

    logits: Tensor
    labels: Tensor
    hidden: Tensor
    label_norms: Tensor


class Batch(Protocol):
    """A model on one batch, as functions of the perturbation: f(x + δ; θ) with x and θ fixed."""

    mask: Tensor
    """``[batch, length]``: True where the embeddings may be perturbed."""
    scale: Tensor | float
    """Weight of the mean over this batch's items in the step's loss; 1 without gradient accumulation."""

    @property
    def row_noise(self) -> RowNoise | None:
        """Random numbers that belong to the rows, known from where the clean pass has reached x.

        None where the rows cannot be told from each other; random numbers then come from a generator.
        """

    @property
    def num_draws(self) -> int:
        """Number of changed texts that were drawn for each row."""

    def clean(self) -> tuple[Tensor, Tensor, Tensor]:
        """Clean pass: returns the task loss ℓ (a scaled scalar), the outputs ``[items, ...]`` and the embeddings x."""

    def clean_cut_at_x(self, start: Callable[[Tensor], Tensor] | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Clean pass whose task loss is back-propagated before the adversarial pass; returns what `clean` does.

        The backward pass of that loss stops at x and fills ``x.grad``. The backward pass of f(x + δ) adds this gradient
        to its own and takes both further, to the weights that x is computed from. With ``start``, a function of x, the
        pass is at x plus that perturbation.
        """

    def clean_at_labels(self) -> tuple[Tensor, LabelOutputs]:
        """Clean pass of a language model: returns the task loss, and what stands at its output embeddings."""

    def outputs(self, delta: Tensor) -> Tensor:
        """Adversarial pass: returns the outputs f(x + δ), ``[items, ...]``."""

    def outputs_anew(self) -> Tensor:
        """Pass at x that computes x again, with a graph of its own: returns the outputs f(x), ``[items, ...]``."""

    def averaged_outputs(self) -> Tensor:
        """Pass at x with an average of the weights, without a graph: returns the outputs f(x; θ̃), ``[items, ...]``."""

    def task_loss(self, delta: Tensor) -> tuple[Tensor, Tensor]:
        """Adversarial pass: returns the task loss ℓ(f(x + δ), y), a scaled scalar, and the outputs."""

    def task_loss_cut_at_x(self, delta: Tensor) -> Tensor:
        """Adversarial pass whose backward pass stops at x too and adds to ``x.grad``; another one has to follow."""

    def drawn_outputs(self, draws: Tensor) -> Tensor:
        """Pass over one of the texts drawn for each row, by their numbers ``draws`` ``[rows]``: returns the outputs."""

    def drawn_task_loss(self, draws: Tensor) -> Tensor:
        """Pass over such texts with the labels of their rows: returns the task loss, a scaled scalar."""

    def first_order_gains(self, gradient: Tensor) -> Tensor:
        """By how much each of the drawn texts raises the task loss to first order, ``[rows, draws]``.

        ``gradient`` is that of the task loss at x, up to a factor that is positive and the same for a row's texts.
        """

    def divergence(self, adversarial: Tensor, clean: Tensor) -> Tensor:
        """Computes D between two outputs, ``[items]``."""

    def predicted_labels(self, outputs: Tensor) -> Tensor:
        """Finds the labels that the outputs hold most likely."""

    def sampled_labels(self, outputs: Tensor, generator: Generator | None) -> Tensor:
        """Draws labels from the distributions that the outputs stand for."""

    def own_loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Sums -log p of such labels, each example's up to a positive constant of its own."""

    def log_odds_against_likeliest(self, outputs: Tensor) -> Tensor | None:
        """Log odds ``[items]`` against the labels that outputs hold most likely; None where they are no decisions."""

    def without_dropout(self) -> AbstractContextManager[None]:
        """Has the adversarial passes inside run without dropout."""

    def without_weight_gradients(self) -> AbstractContextManager[None]:
        """Has passes inside, whose backward passes go to δ alone, keep nothing for gradients of the weights."""


def weighed_divergence(batch: Batch, adversarial_outputs: Tensor, clean_outputs: Tensor) -> Tensor:
    """Mean of D over the items, weighed as the batch is in the step's loss; 0 without items."""
    divergence = batch.divergence(adversarial_outputs, clean_outputs)
    return batch.scale * divergence.sum() / max(divergence.numel(), 1)
