"""Training step of a row of the table of methods, written out in plain PyTorch for ``transformers`` models.

Of alum it reads the row and nothing else: δ is added by a hook of its own, losses and divergences are written out from
the softmax, all passes run anew from the first layer on, and one backward pass goes through everything. Models have no
dropout here. A step may have several micro-batches, on one process or on several: it is that of all their items.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from alum.core.method_settings import Method
from benchmarks.cells.plain_noise import normal_noise, uniform_noise

_IGNORED = -100  # the label of items that are left out
_NO_LOGIT = -1e4  # of padding, which is no answer
_GUARD = 1e-6  # what the released code adds to the norm that it divides by

RESTATED = ("name", "source", "differences", "alpha", "term", "ascent", "gradient", "clean_side", "num_steps",
            "step_size", "step_rule", "norm", "scope", "projection", "epsilon", "epsilon_unit", "init_std",
            "init_noise", "dropout", "layer", "proximal_weight", "proximal_momentum")  # fmt: skip
"""Settings of a method that are written out here.

A first step's proximal term is zero, and its gradient too: the average of the weights is what they are.
"""


@dataclass(frozen=True)
class MicroBatch:
    """Inputs with labels, and the seed of their first δ."""

    inputs: Mapping[str, Tensor]
    seed: int = 0


class PlainStep(NamedTuple):
    """Perturbations of the micro-batches, none where nothing is perturbed, and the mean divergence at them."""

    deltas: list[Tensor]
    divergence: float


def plain_step(
    model: PreTrainedModel,
    kind: str,
    method: Method,
    micro_batches: Sequence[MicroBatch],
    autocast: bool = False,
) -> PlainStep:
    """Fills the gradients of the weights with those of ℓ + α·D, or of what else the method trains on.

    Raises `NotImplementedError` for a method with settings that are not written out here.
    """
    _check(method)
    passes = [_Passes(model, kind, method, batch, autocast) for batch in micro_batches]
    if method.alpha == 0:
        _mean([each.at(None).losses for each in passes]).backward()
        return PlainStep([], 0.0)
    if method.term == "output_embeddings":
        worst = _mean([each.losses_at_worst_labels(method.epsilon) for each in passes])
        ((1 - method.alpha) * _mean([each.at(None).losses for each in passes]) + method.alpha * worst).backward()
        return PlainStep([], 0.0)
    if method.term == "ascent_losses":
        deltas = _train_on_ascent(passes, method)
    else:
        deltas = [_worst_delta(each, method) for each in passes]
        clean = [each.at(None) for each in passes]
        moved = [each.at(delta) for each, delta in zip(passes, deltas, strict=True)]
        if method.term == "task_loss":
            term = _mean([outputs.losses for outputs in moved])
        else:
            constant = method.clean_side == "constant"
            sides = [outputs.constant() if constant else outputs for outputs in clean]
            term = _mean([_divergence(p, q) for p, q in zip(moved, sides, strict=True)])
        (_mean([outputs.losses for outputs in clean]) + method.alpha * term).backward()
    return PlainStep(deltas, mean_divergence(model, kind, method, [each.batch.inputs for each in passes], deltas))


@torch.no_grad()
def mean_divergence(
    model: PreTrainedModel, kind: str, method: Method, inputs: Sequence[Mapping[str, Tensor]], deltas: Sequence[Tensor]
) -> float:
    """Mean divergence between the outputs at x + δ and at x over the items of all micro-batches."""
    found = []
    for own, delta in zip(inputs, deltas, strict=True):
        passes = _Passes(model, kind, method, MicroBatch(own), autocast=False)
        found.append(_divergence(passes.at(delta), passes.at(None)))
    return float(_mean(found))


def _check(method: Method) -> None:
    unknown = {
        f.name for f in dataclasses.fields(method) if f.name not in RESTATED and getattr(method, f.name) != f.default
    }
    if unknown or method.ascent == "sampled" or method.dropout == "off":
        raise NotImplementedError(
            f"{', '.join(sorted(unknown)) or 'ascent sampled, dropout off'} of method {method.name!r} is not written "
            "out in benchmarks/cells/plain_step.py: add it there."
        )


def _mean(values: Sequence[Tensor]) -> Tensor:
    """Over the items of all micro-batches together."""
    return cast(Tensor, sum(value.sum() for value in values)) / max(sum(value.numel() for value in values), 1)


# -- kinds of task -----------------------------------------------------------------------------------------------------


class _Outputs(NamedTuple):
    """Logits of the distributions ``[items, parts, classes]`` that are compared, or numbers ``[items]``, and losses."""

    compared: Tensor
    losses: Tensor
    averages_parts: bool = True

    def constant(self) -> "_Outputs":
        return self._replace(compared=self.compared.detach())


def _classes(outputs: Any, inputs: Mapping[str, Tensor]) -> _Outputs:
    logits, labels = outputs.logits.float(), inputs["labels"]
    has_label = labels != _IGNORED
    return _Outputs(logits.unsqueeze(1), -_log_p(logits[has_label], labels[has_label]))


def _numbers(outputs: Any, inputs: Mapping[str, Tensor]) -> _Outputs:
    numbers = outputs.logits.float().squeeze(-1)
    return _Outputs(numbers, (numbers - inputs["labels"].float()) ** 2)


def _answers(outputs: Any, inputs: Mapping[str, Tensor]) -> _Outputs:
    logits, labels = outputs.logits.float(), inputs["labels"].float()
    losses = -(labels * logits.sigmoid().log() + (1 - labels) * (-logits).sigmoid().log()).mean(-1)
    return _Outputs(torch.stack((logits, torch.zeros_like(logits)), dim=-1), losses, averages_parts=False)


def _spans(outputs: Any, inputs: Mapping[str, Tensor]) -> _Outputs:
    logits = torch.stack((outputs.start_logits, outputs.end_logits), dim=1).float()
    positions = torch.stack((inputs["start_positions"], inputs["end_positions"]), dim=1)
    is_answered = positions[:, 0] < logits.shape[-1]
    losses = -_log_p(logits[is_answered], positions[is_answered]).mean(-1)
    return _Outputs(torch.where(inputs["attention_mask"].bool().unsqueeze(1), logits, _NO_LOGIT), losses)


def _tokens(outputs: Any, inputs: Mapping[str, Tensor]) -> _Outputs:
    return _at_labels(outputs.logits, inputs["labels"])


def _next_tokens(outputs: Any, inputs: Mapping[str, Tensor]) -> _Outputs:
    return _at_labels(outputs.logits[:, :-1], inputs["labels"][:, 1:])


def _at_labels(logits: Tensor, labels: Tensor) -> _Outputs:
    logits, labels = logits[labels != _IGNORED].float(), labels[labels != _IGNORED]
    return _Outputs(logits.unsqueeze(1), -_log_p(logits, labels))


def _log_p(logits: Tensor, labels: Tensor) -> Tensor:
    return logits.log_softmax(-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1)


KINDS: dict[str, Callable[[Any, Mapping[str, Tensor]], _Outputs]] = {
    "sequence_classification": _classes,
    "regression": _numbers,
    "multi_label_classification": _answers,
    "multiple_choice": _classes,
    "question_answering": _spans,
    "token_classification": _tokens,
    "masked_lm": _tokens,
    "causal_lm": _next_tokens,
}


def _divergence(p: _Outputs, q: _Outputs) -> Tensor:
    """KL(p‖q) + KL(q‖p) of each item, or the squared difference of two numbers."""
    if p.compared.dim() == 1:
        return (p.compared - q.compared) ** 2
    log_p, log_q = p.compared.log_softmax(-1), q.compared.log_softmax(-1)
    of_parts = (log_p.exp() * (log_p - log_q)).sum(-1) + (log_q.exp() * (log_q - log_p)).sum(-1)
    return of_parts.mean(-1) if p.averages_parts else of_parts.sum(-1)


def _own_loss(outputs: _Outputs, own: Tensor) -> Tensor:
    """-Σ log p at labels of the model's own: at a number, of a normal distribution around the predicted one."""
    if outputs.compared.dim() == 1:
        return ((outputs.compared - own) ** 2).sum() / 2
    return -_log_p(outputs.compared, own).sum()


def _own_labels(outputs: _Outputs) -> Tensor:
    numbers_or_logits = outputs.compared.detach()
    return numbers_or_logits - 1 if numbers_or_logits.dim() == 1 else numbers_or_logits.argmax(-1)


# -- passes ------------------------------------------------------------------------------------------------------------


class _Passes:
    """A model on a micro-batch, as a function of δ."""

    def __init__(self, model: PreTrainedModel, kind: str, method: Method, batch: MicroBatch, autocast: bool) -> None:
        self.model, self.kind, self.layer, self.batch, self.autocast = model, kind, method.layer, batch, autocast
        self.mask = batch.inputs["attention_mask"].flatten(0, -2).bool().unsqueeze(-1)

    def at(self, delta: Tensor | None) -> _Outputs:
        added = nullcontext() if delta is None else _added(self.model, self.layer, delta)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast), added:
            return KINDS[self.kind](self.model(**self.batch.inputs), self.batch.inputs)

    def losses_at_worst_labels(self, epsilon: float) -> Tensor:
        """Of a language model whose labels' output embeddings are off by ε‖w_y‖ in the direction that h is against."""
        seen: list[Tensor] = []
        decoder: Any = self.model.get_output_embeddings()
        handle = decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            logits = self.model(**self.batch.inputs).logits
        handle.remove()
        hidden, labels = seen[0], self.batch.inputs["labels"]
        if self.kind == "causal_lm":
            logits, hidden, labels = logits[:, :-1], hidden[:, :-1], labels[:, 1:]
        is_label = labels != _IGNORED
        logits, hidden, labels = logits[is_label].float(), hidden[is_label].float(), labels[is_label]
        length = (decoder.weight.detach()[labels].float() ** 2).sum(-1).sqrt()
        lower = epsilon * length * (hidden**2).sum(-1).sqrt()
        return -_log_p(logits.scatter_add(-1, labels.unsqueeze(-1), -lower.unsqueeze(-1)), labels)

    def x(self) -> Tensor:
        """Vectors that δ is added to."""
        seen: list[Tensor] = []
        with torch.no_grad(), _at_place(self.model, self.layer, lambda x: seen.append(x)):
            self.at(None)
        return seen[0].float()

    def gradient(self, objective: Callable[[_Outputs], Tensor], delta: Tensor) -> Tensor:
        delta = delta.detach().requires_grad_()
        with torch.enable_grad():
            value = objective(self.at(delta))
        return torch.autograd.grad(value, delta)[0] * self.mask


def _added(model: PreTrainedModel, layer: Any, delta: Tensor) -> Any:
    return _at_place(model, layer, lambda x: (x.float() + delta).to(x.dtype))


@contextmanager
def _at_place(model: PreTrainedModel, layer: Any, change: Callable[[Tensor], Tensor | None]) -> Iterator[None]:
    """What ``change`` returns takes the place of the vectors, except None."""
    base: Any = model.base_model
    if layer == "word":
        handle = model.get_input_embeddings().register_forward_hook(lambda _, __, x: change(x))
    elif isinstance(embeddings := getattr(base, "embeddings", None), nn.Module):
        handle = embeddings.register_forward_hook(lambda _, __, x: change(x))
    else:  # GPT-2 adds its embeddings in the model itself

        def before(_: nn.Module, inputs: tuple[Any, ...]) -> Any:
            changed = change(inputs[0])
            return None if changed is None else (changed, *inputs[1:])

        handle = base.h[0].register_forward_pre_hook(before)
    try:
        yield
    finally:
        handle.remove()


# -- perturbations -----------------------------------------------------------------------------------------------------


def _length(delta: Tensor, method: Method) -> Tensor:
    dims = (-1,) if method.scope == "token" else (-2, -1)
    if method.norm == "linf":
        return delta.abs().amax(dims, keepdim=True)
    return (delta**2).sum(dims, keepdim=True).sqrt()


def _radius(x: Tensor, mask: Tensor, method: Method) -> Tensor:
    """``[batch, 1, 1]``."""
    kept = x * mask
    if method.epsilon_unit == "absolute":
        return torch.full_like(kept[:, :1, :1], method.epsilon)
    if method.norm == "linf":
        return method.epsilon * ((kept**2).sum((1, 2)) / (mask.sum((1, 2)) * x.shape[-1])).sqrt().view(-1, 1, 1)
    if method.scope == "sequence":
        return method.epsilon * _length(kept, method)
    mean_length = (kept**2).sum(-1).sqrt().sum(1) / mask.sum((1, 2))
    return method.epsilon * mean_length.view(-1, 1, 1)


def _first_delta(passes: _Passes, radius: Tensor, x: Tensor, method: Method) -> Tensor:
    if method.init_std == 0:
        return torch.zeros_like(x)
    tokens = passes.batch.inputs["input_ids"].flatten(0, -2), passes.mask.squeeze(-1)
    if method.init_noise == "normal":
        noise = normal_noise(*tokens, x.shape[-1], passes.batch.seed)
    else:  # as wide as a standard deviation of 1
        noise = uniform_noise(*tokens, x.shape[-1], passes.batch.seed)
    if method.norm == "l2":  # the standard deviation is that of the length
        num_vectors = passes.mask.sum((1, 2)).view(-1, 1, 1) if method.scope == "sequence" else 1
        noise = noise / (num_vectors * x.shape[-1]) ** 0.5
    return method.init_std * radius * noise * passes.mask


def _projected(delta: Tensor, radius: Tensor, method: Method) -> Tensor:
    if method.projection == "rescale":
        return delta * radius / (_length(delta, method) + _GUARD)
    if method.norm == "linf":
        return delta.clamp(-radius, radius)
    length = _length(delta, method)
    return torch.where(length > radius, delta * radius / length.clamp_min(1e-30), delta)


def _ascended(delta: Tensor, gradient: Tensor, radius: Tensor, method: Method) -> Tensor:
    if method.step_rule == "raw":
        step = method.step_size * gradient
    elif method.step_rule == "sign":
        step = method.step_size * radius * gradient.sign()
    else:
        step = method.step_size * radius * gradient / _length(gradient, method).clamp_min(1e-30)
    return _projected(delta + step, radius, method)


def _worst_delta(passes: _Passes, method: Method) -> Tensor:
    x = passes.x()
    radius = _radius(x, passes.mask, method)
    delta = _first_delta(passes, radius, x, method)
    with torch.no_grad():
        clean = passes.at(None)
    objective = _objective(clean, method)
    for step in range(method.num_steps):
        # The clean pass's own gradient is that at x.
        at_x = step == 0 and method.gradient != "own_pass"
        gradient = passes.gradient(objective, torch.zeros_like(delta) if at_x else delta)
        delta = _ascended(delta, gradient, radius, method)
    return delta if method.num_steps else _projected(delta, radius, method)


def _objective(clean: _Outputs, method: Method) -> Callable[[_Outputs], Tensor]:
    if method.ascent == "task_loss":
        return lambda outputs: outputs.losses.sum()
    if method.ascent == "predicted":
        own = _own_labels(clean)
        return lambda outputs: _own_loss(outputs, own)
    return lambda outputs: _divergence(outputs, clean).sum()


def _train_on_ascent(passes: Sequence[_Passes], method: Method) -> list[Tensor]:
    """FreeLB: the mean of the losses at δ_0 … δ_{K-1} is trained on, the first weighing more where α is below 1."""
    places = [each.x() for each in passes]
    radii = [_radius(x, each.mask, method) for x, each in zip(places, passes, strict=True)]
    deltas = [_first_delta(each, r, x, method) for each, r, x in zip(passes, radii, places, strict=True)]
    for step in range(method.num_steps):
        weight = method.alpha / method.num_steps + (1 - method.alpha if step == 0 else 0.0)
        leaves = [delta.detach().requires_grad_() for delta in deltas]
        loss = _mean([each.at(delta).losses for each, delta in zip(passes, leaves, strict=True)])
        (weight * loss).backward()
        if step < method.num_steps - 1:
            deltas = [
                _ascended(leaf.detach(), cast(Tensor, leaf.grad) * each.mask, radius, method)
                for leaf, each, radius in zip(leaves, passes, radii, strict=True)
            ]
    return deltas
