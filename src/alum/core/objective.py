"""Training objective of ALUM: min_θ E[ ℓ(f(x; θ), y) + α · max_‖δ‖≤ε D(f(x + δ; θ), f(x; θ)) ].

The model, its inputs and labels are behind one small interface, so the functions here work for any module and loop.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import torch
from torch import Generator, Tensor

from alum.core.batch import Batch, weighed_divergence
from alum.core.changed_texts import loss_at_texts
from alum.core.freelb import freelb_loss
from alum.core.measures.diagnostics import Diagnostics, Probes, diagnose
from alum.core.method_settings import Method
from alum.core.outputs.adversarial_softmax import adversarial_softmax
from alum.core.outputs.output_gradients import gradient_at_own_scale, gradients_by_parts, zero_with_gradient
from alum.core.outputs.task_gradient import kept_from_vanishing, turned_where_wrong
from alum.core.perturbation import Perturbation, worst_case_perturbation
from alum.core.randomness.random_state import keeping_random_state, random_state, set_random_state


@dataclass(frozen=True)
class AlumResult:
    """Losses and perturbation of one training step; all but ``loss`` are detached.

    ``loss`` has the value of the whole objective. Its backward pass gives the gradients that are still missing: all
    of them, or in a one-pass step, whose task loss has been back-propagated down to x already, those of the adversarial
    term and, for the weights that x is computed from, those of the task loss too.
    """

    loss: Tensor
    """The whole objective, a number to call ``backward`` on."""
    task_loss: Tensor
    """ℓ(f(x), y), scaled as the batch scales it."""
    adversarial_loss: Tensor
    """D or ℓ at δ, without its weight α."""
    alpha: float
    """Weight α of the adversarial loss in ``loss``."""
    skipped: Tensor
    """1.0 where the adversarial term was no finite number and was left out, else 0.0."""
    delta: Tensor | None = None
    """δ of the shape of x, ``[rows, length, hidden]``, 0 at padding; None where the method has none there."""
    diagnostics: Diagnostics | None = None
    """The adversarial gain and what it is made of, where it was measured."""
    proximal_loss: Tensor | None = None
    """D between the model and the average of its weights, without its weight μ; None where no term could be."""
    text_loss: Tensor | None = None
    """Part of ``adversarial_loss`` that is at changed texts; None where the method has none."""

    @property
    def loss_at_delta(self) -> Tensor:
        """Part of ``adversarial_loss`` that is at δ, which the radius changes."""
        return self.adversarial_loss if self.text_loss is None else self.adversarial_loss - self.text_loss


@dataclass(frozen=True)
class _CleanSide:
    """Clean pass, as far as it is still to be differentiated: its task loss and outputs may be constants."""

    task_loss: Tensor
    outputs: Tensor
    x: Tensor
    state: list[Tensor] = field(default_factory=list)
    """Random state before the pass, if it is to be repeated."""

    def constant(self) -> "_CleanSide":
        return _CleanSide(self.task_loss.detach(), self.outputs.detach(), self.x)


def alum_loss(
    batch: Batch,
    method: Method,
    generator: Generator | None = None,
    backward: Callable[[Tensor], None] = Tensor.backward,
    num_gain_draws: int = 0,
    num_further_steps: int = 0,
) -> AlumResult:
    """ℓ + α·D of one batch, with the diagnostics if ``num_gain_draws`` random perturbations are to be compared.

    With ``num_further_steps`` of ascent from δ on, these say too what share of the divergence that they reach δ has.
    ``backward`` back-propagates the clean pass where ``method.has_one_graph``: no two graphs of what lies above x are
    then alive at once.
    """
    probes = Probes(num_gain_draws, num_further_steps, generator)
    if method.alpha > 0 and method.term == "ascent_losses":
        return _result_of_ascent(batch, method, backward, probes)
    if method.alpha > 0 and method.term == "output_embeddings":
        return _result_at_output_embeddings(batch, method)
    if method.alpha > 0 and method.space == "text":
        return _result_at_texts(batch, method, backward)
    clean = _clean_side(batch, method, with_graph=not method.ascends_before_clean_graph)
    known = clean.constant()
    if method.alpha == 0:
        zero = torch.zeros_like(known.task_loss)
        return AlumResult(clean.task_loss, known.task_loss, zero, 0.0, skipped=zero)

    labels = _own_labels(batch, method, known, generator)
    first_gradient = _gradient_of_own_loss(batch, clean, labels) if method.gradient == "clean_pass" else None
    if method.has_one_graph and not method.differentiates_clean_side_first:
        first_gradient = _back_propagate_task_loss(batch, method, clean, first_gradient, backward)
        clean = known

    if method.dropout == "off" and "divergence" in (method.term, method.ascent):
        clean = _without_dropout(batch, clean, differentiated=not method.has_one_graph)
        known = clean.constant()
    found = _worst_case(batch, method, known, labels, first_gradient, generator)
    if method.differentiates_clean_side_first:
        clean = _with_graph(batch, method, clean)
        known = clean.constant()
        found = replace(found, finite=_back_propagate_both_sides(batch, method, clean, found, backward))
        clean = known

    # Before the adversarial pass's graph grows, beside which that of more ascent would make a new peak of memory.
    diagnostics = _diagnostics(batch, method, found, known, probes)
    text_loss = _text_loss(batch, method, clean, first_gradient)
    adversarial_loss = _adversarial_loss(batch, method, found, clean) + text_loss
    proximal_loss = _proximal_loss(batch, method, clean)
    finite = found.finite & adversarial_loss.detach().isfinite() & proximal_loss.detach().isfinite()
    if not finite:  # waits for the device
        adversarial_loss, text_loss, proximal_loss = (
            _nothing(batch, found.delta),
            torch.zeros_like(text_loss),
            torch.zeros_like(proximal_loss),
        )
    return AlumResult(
        loss=clean.task_loss + method.alpha * adversarial_loss + method.proximal_weight * proximal_loss,
        task_loss=known.task_loss,
        adversarial_loss=adversarial_loss.detach(),
        alpha=method.alpha,
        skipped=(~finite).to(torch.float32),
        delta=found.delta,
        diagnostics=diagnostics,
        proximal_loss=proximal_loss.detach(),
        text_loss=text_loss.detach(),
    )


def _result_of_ascent(batch: Batch, method: Method, backward: Callable[[Tensor], None], probes: Probes) -> AlumResult:
    """Losses of the ascent: the task loss is that at the first δ, the adversarial loss what later ones add to it."""
    found = freelb_loss(batch, method, probes.generator, backward=lambda loss: _back_propagate(loss, backward))
    outputs = torch.empty(0)
    if probes.num_draws:
        with torch.no_grad(), keeping_random_state(found.x.device):
            outputs = batch.outputs(torch.zeros_like(found.delta))
    known, perturbation = _CleanSide(found.first, outputs, found.x), Perturbation(found.delta, found.finite)
    return AlumResult(
        loss=found.loss,
        task_loss=found.first,
        adversarial_loss=found.mean - found.first,
        alpha=method.alpha,
        skipped=(~found.finite).to(torch.float32),
        delta=found.delta,
        diagnostics=_diagnostics(batch, method, perturbation, known, replace(probes, num_further_steps=0)),
    )


def _result_at_output_embeddings(batch: Batch, method: Method) -> AlumResult:
    """Losses of one pass, from whose outputs the worst δ follows: the adversarial loss is what it adds."""
    task_loss, found = batch.clean_at_labels()
    adversarial_loss = batch.scale * adversarial_softmax(found, method) / max(len(found.labels), 1)
    return AlumResult(
        loss=task_loss + method.alpha * adversarial_loss,
        task_loss=task_loss.detach(),
        adversarial_loss=adversarial_loss.detach(),
        alpha=method.alpha,
        skipped=torch.zeros_like(adversarial_loss.detach()),
    )


def _result_at_texts(batch: Batch, method: Method, backward: Callable[[Tensor], None]) -> AlumResult:
    """Losses where the adversary changes the text alone: two passes, whose graphs are alive at once.

    Or one after the other, where the text is chosen by the gradient that the first one leaves at x.
    """
    clean, gradient = _CleanSide(*batch.clean()), None
    known = clean.constant()
    if method.chooses_text_by_gradient:
        clean.x.retain_grad()  # and not cut there: no pass comes after that goes down from x
        gradient = _back_propagate_task_loss(batch, method, clean, None, backward)
        clean = known
    if method.dropout == "off" and method.term == "divergence":
        clean = _without_dropout(batch, clean, differentiated=method.clean_side != "constant")
    text_loss, proximal_loss = _text_loss(batch, method, clean, gradient), _proximal_loss(batch, method, clean)
    finite = text_loss.detach().isfinite() & proximal_loss.detach().isfinite()
    if not finite:
        text_loss = _nothing_at(batch.outputs_anew()) if method.has_one_graph else torch.zeros_like(text_loss)
        proximal_loss = torch.zeros_like(proximal_loss)
    return AlumResult(
        loss=clean.task_loss + method.alpha * text_loss + method.proximal_weight * proximal_loss,
        task_loss=known.task_loss,
        adversarial_loss=text_loss.detach(),
        alpha=method.alpha,
        skipped=(~finite).to(torch.float32),
        proximal_loss=proximal_loss.detach(),
        text_loss=text_loss.detach(),
    )


def _clean_side(batch: Batch, method: Method, with_graph: bool = True) -> _CleanSide:
    if with_graph:
        return _CleanSide(*(batch.clean_cut_at_x() if method.has_one_graph else batch.clean()))
    state = random_state(batch.mask.device)
    with torch.no_grad():
        return _CleanSide(*batch.clean(), state)


def _own_labels(batch: Batch, method: Method, known: _CleanSide, generator: Generator | None) -> Tensor | None:
    """Labels of the model's own, where δ ascends the loss at them in passes that go back to x alone."""
    if method.gradient == "task_backward":
        return None
    if method.ascent == "predicted":
        return batch.predicted_labels(known.outputs)
    if method.ascent == "sampled":
        return batch.sampled_labels(known.outputs, generator)
    return None


def _worst_case(
    batch: Batch,
    method: Method,
    known: _CleanSide,
    labels: Tensor | None,
    first_gradient: Tensor | None,
    generator: Generator | None,
) -> Perturbation:
    ascended = _ascended(batch, method, known, labels)
    with batch.without_weight_gradients():
        source = batch.row_noise or generator
        return worst_case_perturbation(ascended, known.x.detach(), batch.mask, method, first_gradient, source)


def _ascended(batch: Batch, method: Method, known: _CleanSide, labels: Tensor | None) -> Callable[[Tensor], Tensor]:
    """Objective of δ, from a pass of its own."""
    if method.ascent == "task_loss":
        return lambda delta: kept_from_vanishing(batch, *batch.task_loss(delta))
    if labels is not None:
        return lambda delta: batch.own_loss(batch.outputs(delta), labels)
    return lambda delta: batch.divergence(batch.outputs(delta), known.outputs).sum()


def _gradient_of_own_loss(batch: Batch, clean: _CleanSide, labels: Tensor | None) -> Tensor:
    """∇_x -log p(ŷ), through the clean pass's graph, which is still needed."""
    assert labels is not None, "methods with this gradient ascend the loss at labels of the model's own"
    with torch.autocast(clean.x.device.type, enabled=False):
        at_outputs, scale = gradient_at_own_scale(lambda some, part: batch.own_loss(some, labels[part]), clean.outputs)
        (gradient,) = torch.autograd.grad(clean.outputs, clean.x, at_outputs, retain_graph=True)
    return gradient.float() * scale


def _back_propagate_task_loss(
    batch: Batch, method: Method, clean: _CleanSide, first_gradient: Tensor | None, backward: Callable[[Tensor], None]
) -> Tensor | None:
    """Back-propagates ℓ down to x; returns the first ascent step's gradient, which is its own in one-pass methods."""
    if method.gradient != "task_backward":
        _back_propagate(clean.task_loss, backward)
        return first_gradient
    task_loss = kept_from_vanishing(batch, clean.task_loss, clean.outputs)
    if method.ascent == "task_loss":
        _back_propagate(task_loss, backward)
        return clean.x.grad
    with turned_where_wrong(clean.x, clean.outputs) as turned:
        _back_propagate(task_loss, backward)
        assert clean.x.grad is not None
        return turned(clean.x.grad)


def _with_graph(batch: Batch, method: Method, clean: _CleanSide) -> _CleanSide:
    """Clean pass whose graph is alive: the one that there was, or the same again."""
    if not method.ascends_before_clean_graph:
        return clean
    set_random_state(batch.mask.device, clean.state)  # whatever was drawn since
    return _clean_side(batch, method)


def _back_propagate_both_sides(
    batch: Batch, method: Method, clean: _CleanSide, found: Perturbation, backward: Callable[[Tensor], None]
) -> Tensor:
    """Back-propagates ℓ and α·D's clean side, which it leaves out unless all is finite: this it returns.

    ∂D/∂f(x) is worked out inside the backward pass, when what ℓ saved at the outputs is gone, from an adversarial pass
    without a graph whose dropout masks the next pass draws again.
    """
    finite, outputs = found.finite, clean.outputs.detach()
    as_in_forward_passes = _same_autocast(outputs)

    def gradient_at_outputs(factor: Tensor) -> Tensor:
        nonlocal finite
        with torch.no_grad(), as_in_forward_passes, keeping_random_state(found.delta.device):
            adversarial = batch.outputs(found.delta)
        factor = factor * batch.scale / max(len(outputs), 1)
        for part, gradient in gradients_by_parts(
            lambda some, part: batch.divergence(adversarial[part], some).sum(), outputs
        ):
            finite = finite & gradient.isfinite().all()
            adversarial[part] = factor * gradient  # takes its place, and its precision only after the loss's scale
        return adversarial.masked_fill_(~finite, 0.0)

    term = method.alpha * zero_with_gradient(clean.outputs, gradient_at_outputs)
    # In this thread: what the compiler and autocast are told holds for a thread.
    with torch.autograd.set_multithreading_enabled(False):
        _back_propagate(clean.task_loss + term, backward)
    return finite


def _same_autocast(like: Tensor) -> AbstractContextManager[None]:
    """Autocast as it is now, for a pass that runs elsewhere."""
    device = like.device.type
    return torch.autocast(device, torch.get_autocast_dtype(device), torch.is_autocast_enabled(device))


def _without_dropout(batch: Batch, clean: _CleanSide, differentiated: bool) -> _CleanSide:
    """Clean side of D where its other side has no dropout: outputs of a pass of their own, at δ = 0."""
    with batch.without_dropout(), torch.set_grad_enabled(differentiated and torch.is_grad_enabled()):
        outputs = batch.outputs(torch.zeros_like(clean.x, dtype=torch.float32, requires_grad=False))
    return _CleanSide(clean.task_loss, outputs, clean.x)


def _back_propagate(loss: Tensor, backward: Callable[[Tensor], None]) -> None:
    """Autocast chose the precision of each operation in the forward pass; the backward pass must not choose again."""
    with torch.autocast(loss.device.type, enabled=False):
        backward(loss)


def _proximal_loss(batch: Batch, method: Method, clean: _CleanSide) -> Tensor:
    """D between what the weights predict at x and what their average does; zero without such a term."""
    if not method.has_proximal_term:
        return torch.zeros_like(clean.task_loss.detach())
    return weighed_divergence(batch, clean.outputs, batch.averaged_outputs())


def _text_loss(batch: Batch, method: Method, clean: _CleanSide, gradient: Tensor | None) -> Tensor:
    """Loss at changed texts; zero where texts are not changed."""
    if not method.changes_text:
        return torch.zeros_like(clean.task_loss.detach())
    return loss_at_texts(batch, method, clean.outputs, gradient)


def _nothing(batch: Batch, delta: Tensor) -> Tensor:
    """Zero, with zero gradients: processes that wait for each other's gradients still get them.

    Multiplying the term by zero would not do: 0 · NaN is NaN, in the backward pass of every layer that saved one.
    """
    return _nothing_at(batch.outputs(torch.zeros_like(delta)))


def _nothing_at(outputs: Tensor) -> Tensor:
    return (outputs.float() * 0.0).nan_to_num().sum()


def _diagnostics(
    batch: Batch, method: Method, found: Perturbation, known: _CleanSide, probes: Probes
) -> Diagnostics | None:
    return diagnose(batch, method, found.delta, known.outputs, known.x, probes) if probes.num_draws else None


def _adversarial_loss(batch: Batch, method: Method, found: Perturbation, clean: _CleanSide) -> Tensor:
    if method.term == "task_loss":
        return batch.task_loss(found.delta)[0]
    return weighed_divergence(batch, batch.outputs(found.delta), clean.outputs)
