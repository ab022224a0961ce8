"""Projected gradient descent on the embeddings, with restarts, over one or several radii (Madry et al. 2018,
arXiv:1706.06083)."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from alum.core.errors import InputError
from alum.core.method_settings import Norm, Scope
from alum.core.projections import embedding_scale, project_onto_ball, unit_direction
from alum.models.hooks.frozen import frozen
from alum.models.hooks.injection import Injection
from alum.models.hooks.packed_rows import PackedRows
from alum.models.inputs import Inputs

_NORM: Norm = "l2"
_SCOPE: Scope = "token"


Losses = Callable[[Any, Inputs], Tensor]
"""From outputs and inputs, a loss of each example, ``[batch]``."""


@dataclass(frozen=True)
class AttackedBatch:
    """A batch of examples with the model to attack, the losses to raise, and what counts as success.

    ``mask`` ``[n · batch, length]``, of the rows of δ, is True where tokens may be perturbed; n is 1, or the number of
    choices of each example. All callables take ``inputs``, or the same of some examples only.
    """

    model: nn.Module
    run: Callable[[Inputs], Any]
    """A forward pass of ``model`` on the inputs."""
    inputs: Inputs
    """Tensors ``[batch, ...]``, the labels among them."""
    mask: Tensor
    losses: Losses
    """What the attack raises, and tells by which of two perturbations is the worse one."""
    fallen: Callable[[Any, Inputs], Tensor] | None = None
    """From outputs and inputs ``[batch]``, True for examples that the attack has turned. None: all are attacked to the
    last step."""
    further_losses: Callable[[Mapping[str, Tensor]], Sequence[Losses]] | None = None
    """From clean outputs, losses that are ascended too, each from all starts, by examples that still stand."""
    packed: Callable[[Inputs], PackedRows | None] | None = None
    """From inputs, the rows of δ where they are not the rows that the model reads."""

    def injection(self) -> Injection:
        """Place of the perturbation, without a recorded pass."""
        return Injection(self.model, packed=self.packed(self.inputs) if self.packed is not None else None)

    def select(self, rows: Tensor) -> "AttackedBatch":
        """A batch of the examples ``rows`` alone."""
        per_example = self.mask.view(self._num_examples(), -1, self.mask.shape[-1])
        return dataclasses.replace(
            self,
            inputs={
                name: values[rows] if isinstance(values, Tensor) else values for name, values in self.inputs.items()
            },
            mask=per_example[rows].flatten(0, 1),
        )

    def _num_examples(self) -> int:
        return next(len(values) for values in self.inputs.values() if isinstance(values, Tensor))


@dataclass
class WorstFound:
    """Worst perturbation found for each example: one that turned it (it has fallen), else that of the highest loss."""

    outputs: dict[str, Tensor]
    losses: Tensor
    fallen: Tensor
    delta: Tensor
    """``[n · batch, length, hidden]`` in fp32, zero outside the mask."""

    def take_worse(self, rows: Tensor, found: "WorstFound") -> None:
        """Replaces perturbations by worse ones; ``found`` has those of the examples ``rows`` of this batch."""
        worse = ~self.fallen[rows] & (found.fallen | (found.losses > self.losses[rows]))
        taken = rows[worse]
        for name, values in self.outputs.items():
            values[taken] = found.outputs[name][worse]
        self.losses[taken] = found.losses[worse]
        self.fallen[taken] = found.fallen[worse]
        _by_example(self.delta, len(self.fallen))[taken] = _by_example(found.delta, len(rows))[worse]

    def copy(self) -> "WorstFound":
        """A copy that later perturbations do not change."""
        outputs = {name: values.clone() for name, values in self.outputs.items()}
        return WorstFound(outputs, self.losses.clone(), self.fallen.clone(), self.delta.clone())


@dataclass(frozen=True)
class EmbeddingPGD:
    """Projected gradient descent inside an L2 ball around each token's embedding.

    The radius is ``epsilon`` times the mean norm of the sequence's embeddings.

    The first start is δ = 0, further ones are random. Steps are normalised for every token; the first one has
    ``step_size`` times the radius, and step k ``1 / √k`` of that: long steps reach the sphere, short ones settle on it.
    Of all iterates the worst is kept, so that more steps, restarts or losses never find less. Each further loss of the
    batch costs as many passes again, for the examples that the losses before it did not turn.
    """

    epsilon: float
    num_steps: int = 10
    step_size: float = 1.0
    num_restarts: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.epsilon < float("inf"):
            raise InputError(f"epsilon is the radius of the ball and must be above 0 and finite, not {self.epsilon}.")
        if not 0 <= self.step_size < float("inf"):
            raise InputError(f"step_size is a fraction of the radius, 0 or more and finite, not {self.step_size}.")
        if self.num_steps < 0 or self.num_restarts < 1:
            raise InputError(
                f"an attack has 0 or more steps and at least one start, not {self.num_steps} and {self.num_restarts}."
            )

    def __call__(self, batch: AttackedBatch) -> WorstFound:
        """Attacks a batch at the radius ``epsilon``."""
        return next(self.curve(batch, [self.epsilon]))

    def curve(self, batch: AttackedBatch, epsilons: Sequence[float]) -> Iterator[WorstFound]:
        """Attacks a batch at each of the rising radii ``epsilons`` and yields the worst perturbations of each radius.

        Examples that fell at a smaller radius are not attacked again: δ in its ball is in the larger ball too, so that
        robustness never rises with the radius. Raises `InputError` for radii that do not rise.
        """
        if any(not smaller < larger for smaller, larger in zip([0.0, *epsilons], epsilons, strict=False)):
            raise InputError(f"the radii of a curve must be above 0 and rise, not {list(epsilons)}.")
        worst, embeddings = _clean(batch)
        num_examples = len(worst.fallen)
        unit = embedding_scale(embeddings, batch.mask, _NORM, _SCOPE)
        further = batch.further_losses(worst.outputs) if batch.further_losses is not None else ()
        for epsilon in epsilons:
            # The same random directions at every radius, whichever examples still stand.
            generator = torch.Generator(embeddings.device).manual_seed(self.seed)
            for restart in range(self.num_restarts):
                start = torch.zeros_like(worst.delta)
                if restart:
                    start = epsilon * unit * _random_directions(start, generator) * batch.mask.unsqueeze(-1)
                for ascended in (batch.losses, *further):
                    standing = (~worst.fallen).nonzero().squeeze(-1)
                    if len(standing):
                        own, radius = (
                            _by_example(x, num_examples)[standing].flatten(0, 1) for x in (start, epsilon * unit)
                        )
                        climb = _Climb(batch.select(standing), standing, ascended)
                        self._run(climb, own, radius, worst)
            yield worst.copy()

    def random(self, batch: AttackedBatch, num_draws: int) -> WorstFound:
        """Worst of ``num_draws`` random perturbations, each of which is as long at every token as the radius."""
        _, embeddings = _clean(batch)
        radius = self.epsilon * embedding_scale(embeddings, batch.mask, _NORM, _SCOPE) * batch.mask.unsqueeze(-1)
        generator = torch.Generator(embeddings.device).manual_seed(self.seed)
        return worst_of(batch, (radius * _random_directions(embeddings, generator) for _ in range(num_draws)))

    def _run(self, climb: "_Climb", delta: Tensor, radius: Tensor, worst: WorstFound) -> None:
        """One start's ascent of one loss; each example leaves as soon as it falls."""
        batch, rows = climb.batch, climb.rows
        for step in range(self.num_steps + 1):
            is_last = step == self.num_steps
            found, gradient = _at(batch, delta, None if is_last else climb.ascended)
            worst.take_worse(rows, found)
            if gradient is None:
                return
            stride = self.step_size / (step + 1) ** 0.5
            moved = delta + stride * radius * unit_direction(gradient, _NORM, _SCOPE)
            delta = project_onto_ball(moved, radius, _NORM, _SCOPE) * batch.mask.unsqueeze(-1)
            if found.fallen.any():
                standing = (~found.fallen).nonzero().squeeze(-1)
                if not len(standing):
                    return
                delta, radius = (_by_example(x, len(rows))[standing].flatten(0, 1) for x in (delta, radius))
                batch, rows = batch.select(standing), rows[standing]


@dataclass(frozen=True)
class _Climb:
    """What one ascent is of: the examples ``rows`` of an attacked batch, as a batch, and the loss that it follows."""

    batch: AttackedBatch
    rows: Tensor
    ascended: Losses


def worst_of(batch: AttackedBatch, perturbations: Iterable[Tensor]) -> WorstFound:
    """Worst of some perturbations ``[n · batch, length, hidden]`` and of none at all, for each example."""
    worst, _ = _clean(batch)
    rows = torch.arange(len(worst.fallen), device=worst.fallen.device)
    for delta in perturbations:
        worst.take_worse(rows, _at(batch, delta)[0])
    return worst


def slopes(batch: AttackedBatch, epsilon: float) -> tuple[Tensor, Tensor]:
    """Change of each example's loss, ``[batch]``, from one side of x to the other: by its gradient, and as it is.

    The two sides are ``epsilon`` away, in the unit of `EmbeddingPGD`, at every token along the gradient, and in a
    random direction where that is zero. Where the gradient is of the function that the model computes, both are about
    the same.
    """
    clean, embeddings = _clean(batch)
    _, gradient = _at(batch, torch.zeros_like(clean.delta), batch.losses)
    assert gradient is not None
    generator = torch.Generator(embeddings.device).manual_seed(0)
    direction = torch.where(gradient.any(-1, keepdim=True), gradient, _random_directions(gradient, generator))
    unit = embedding_scale(embeddings, batch.mask, _NORM, _SCOPE)
    side = epsilon * unit * unit_direction(direction, _NORM, _SCOPE) * batch.mask.unsqueeze(-1)
    expected = _by_example(2 * gradient * side, len(clean.fallen)).flatten(1).sum(1)
    ahead, behind = (_at(batch, delta)[0].losses for delta in (side, -side))
    return expected, ahead - behind


def _clean(batch: AttackedBatch) -> tuple[WorstFound, Tensor]:
    """Result of the zero perturbation, and the embeddings ``[n · batch, length, hidden]``."""
    with torch.no_grad(), batch.injection().recording() as recorded:
        outputs = batch.run(batch.inputs)
    embeddings = recorded()
    return _found(batch, outputs, torch.zeros_like(embeddings, dtype=torch.float32)).copy(), embeddings


def _at(batch: AttackedBatch, delta: Tensor, ascended: Losses | None = None) -> tuple[WorstFound, Tensor | None]:
    """Result of δ, and the gradient there of a loss, if one is given: zero outside the mask and where not finite."""

    def run(delta: Tensor) -> Any:
        with batch.injection().adding(delta):
            return batch.run(batch.inputs)

    if ascended is None:
        with torch.no_grad():
            return _found(batch, run(delta), delta), None
    at = delta.detach().requires_grad_()
    with frozen(batch.model):
        with torch.enable_grad():
            outputs = run(at)
            loss = ascended(outputs, batch.inputs).sum()
        # Not at a scale that the value tells, which the divergence needs: log odds pass through zero, their gradient
        # does not.
        with torch.autocast(at.device.type, enabled=False):
            (gradient,) = torch.autograd.grad(loss, at)
    usable = batch.mask.unsqueeze(-1) & gradient.isfinite().all(-1, keepdim=True)
    return _found(batch, outputs, delta), torch.where(usable, gradient, 0.0)


def _found(batch: AttackedBatch, outputs: Any, delta: Tensor) -> WorstFound:
    with torch.no_grad():
        losses = batch.losses(outputs, batch.inputs)
        fallen = torch.zeros_like(losses, dtype=torch.bool)
        if batch.fallen is not None:
            fallen = batch.fallen(outputs, batch.inputs)
    kept = {
        name: values.detach()
        for name, values in outputs.items()
        if isinstance(values, Tensor) and values.shape[:1] == losses.shape
    }
    return WorstFound(kept, losses.detach(), fallen, delta)


def _by_example(values: Tensor, num_examples: int) -> Tensor:
    """``[n · batch, ...]`` as ``[batch, n, ...]``, in the same memory."""
    return values.view(num_examples, -1, *values.shape[1:])


def _random_directions(like: Tensor, generator: torch.Generator) -> Tensor:
    return unit_direction(torch.randn(like.shape, generator=generator, device=like.device), _NORM, _SCOPE)
