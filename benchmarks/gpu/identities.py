"""Properties that hold exactly, or to rounding: what shared dropout masks leave of D without δ, and the CPU's steps."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from alum.models.hooks.hooked_batch import HookedBatch
from alum.models.hooks.injection import Injection
from alum.models.inputs import padding_mask_for, unlabelled
from alum.models.model_parts import pretrained_model
from alum.tasks.lookup import kind_of
from alum.training.step import AlumStep
from benchmarks.directions import Subject
from benchmarks.gpu.lines import synchronize
from benchmarks.gpu.precision import Backward, autocast

ATTENTIONS = ("sdpa", "eager")
WITHOUT_DELTA: dict[str, dict[str, Any]] = {
    "r_drop, shared masks": {"method": "r_drop", "dropout": "shared"},
    "alum": {"method": "alum", "epsilon": 1e-30},
    "alum_one_pass": {"method": "alum_one_pass", "epsilon": 1e-30},
    "alum_virtual": {"method": "alum_virtual", "epsilon": 1e-30},
    "alum_virtual, clean side first": {"method": "alum_virtual", "epsilon": 1e-30, "clean_side": "first"},
    "r_drop": {"method": "r_drop"},
}
"""Steps whose δ is zero, or too small to change x; all but the last have the same masks in both passes."""
WITHOUT_NOISE = ("standard", "alum_one_pass", "alum_virtual", "fgm")
"""Methods that draw nothing, so that CPU and GPU do the same. The noise of `alum` differs between their generators."""
_ADAM_EPSILON = 1e-6  # that of BERT; gradients that are zero but for rounding would else take whole steps


def without_delta(subject: Subject, step: str, precision: str) -> dict[str, float]:
    """Largest divergence between the passes of a step in training mode, in nats."""
    device = next(subject.model.parameters()).device
    model = subject.model.train()
    try:
        found = AlumStep(model, backward=Backward(device, precision), **WITHOUT_DELTA[step])
        largest = 0.0
        for index, batch in enumerate(subject.batches[:2]):
            torch.manual_seed(index)
            with autocast(device, precision):
                largest = max(largest, float(found(batch).adversarial_loss))
    finally:
        model.zero_grad()
        model.eval()
    return {"divergence": largest}


def repeated_pass(subject: Subject, precision: str) -> dict[str, Any]:
    """Whether a pass is bit for bit the clean one under the same masks, and how far off it is under others."""
    device = next(subject.model.parameters()).device
    torch.manual_seed(0)
    found: dict[str, Any] = {}
    model = subject.model.train()
    try:
        for dropout in ("shared", "independent"):
            with torch.no_grad(), autocast(device, precision):
                batch = hooked(subject, subject.batches[0])
                batch.dropout = "shared" if dropout == "shared" else "independent"
                _, clean, x = batch.clean()
                again = batch.outputs(torch.zeros_like(x, dtype=torch.float32))
            found[f"identical_{dropout}"] = torch.equal(clean, again)
            found[f"difference_{dropout}"] = float((clean.float() - again.float()).abs().max())
    finally:
        model.eval()
    return found


def hooked(subject: Subject, inputs: Mapping[str, Tensor]) -> HookedBatch:
    """A batch as the objective sees it."""
    model = pretrained_model(subject.model)
    kind = kind_of(model)
    bare = unlabelled(model, inputs)

    def with_loss() -> tuple[Tensor, Any]:
        outputs = model(**inputs)
        return outputs.loss, outputs

    return HookedBatch(
        model=model,
        injection=Injection(model),
        mask=padding_mask_for(model, inputs),
        run=lambda: model(**bare),
        run_with_loss=with_loss,
        compared=lambda outputs: kind.compared(outputs, inputs),
        distance=kind.distance,
    )


# -- beside the CPU ----------------------------------------------------------------------------------------------------


def beside_cpu(subject: Subject, method: str, num_steps: int) -> dict[str, Any]:
    """Some steps of AdamW in fp32, without dropout, from the same weights on the same rows, here and on the CPU.

    ``difference`` is ‖w - w'‖ / ‖w' - w₀‖ over all weights, w' being the CPU's.
    """
    start = weights_of(subject.model)
    here, divergence = _trained(subject, method, num_steps, next(subject.model.parameters()).device)
    there, expected = _trained(subject, method, num_steps, torch.device("cpu"))
    return {
        "difference": float((here - there).norm() / (there - start).norm()),
        "divergence": divergence,
        "divergence_on_cpu": expected,
    }


def _trained(subject: Subject, method: str, num_steps: int, device: torch.device) -> tuple[Tensor, float]:
    model = nn.Module.to(copy.deepcopy(subject.model), device).eval()
    batches = [{name: value.to(device) for name, value in batch.items()} for batch in subject.batches]
    step = AlumStep(model, method)
    optimizer = torch.optim.AdamW(model.parameters(), lr=subject.learning_rate / 10, eps=_ADAM_EPSILON)
    torch.manual_seed(0)
    total = 0.0
    for index in range(num_steps):
        total += float(step(batches[index % len(batches)]).adversarial_loss)
        optimizer.step()
        optimizer.zero_grad()
    synchronize(device)
    return weights_of(model), total / num_steps


def weights_of(model: nn.Module) -> Tensor:
    """All weights in one vector, on the CPU."""
    return torch.cat([p.detach().double().flatten().cpu() for p in model.parameters()])


def attending(subject: Subject, attention: str, measured: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Measures with another implementation of attention, and puts back the one that there was."""
    former = subject.model.config._attn_implementation
    subject.model.set_attn_implementation(attention)
    try:
        return measured()
    finally:
        subject.model.set_attn_implementation(former or "sdpa")
