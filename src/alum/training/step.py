"""ALUM in a training loop of your own: one call instead of the forward and backward pass."""

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import torch.distributed
from accelerate.utils import extract_model_from_parallel
from torch import Tensor, nn
from torch._dynamo import OptimizedModule
from torch.distributed.tensor import DTensor

from alum.core.divergences import IGNORED_LABEL
from alum.core.errors import InputError
from alum.core.methods import method_named
from alum.core.objective import AlumResult, alum_loss
from alum.core.schedules.averaging import momentum_at
from alum.core.schedules.radius import Radius, check_target
from alum.models.averaged_weights import AveragedWeights
from alum.models.compilation import heed_hooks, is_compiled
from alum.models.hooks.hooked_batch import HookedBatch
from alum.models.hooks.injection import Injection
from alum.models.hooks.packed_rows import packed_rows, token_ids_of
from alum.models.hooks.padding_free import rows_without_padding
from alum.models.inputs import has_labels, labels_of_items, padding_mask_for, unlabelled
from alum.models.model_parts import pretrained_model, word_embeddings
from alum.tasks.base import TaskKind
from alum.tasks.lookup import kind_of
from alum.training.parts.drawn_texts import check_compares_rows, drawn_passes, without_drawn
from alum.training.parts.output_embeddings import check_output_embeddings, label_recording
from alum.training.parts.passes import Passes
from alum.training.parts.perturbed_place import check_place, check_words_are_looked_up
from alum.training.parts.step_noise import StepNoise
from alum.training.parts.task_losses import loss_where, no_task_loss, refuse_without_labels

_REFUSED = ("DataParallel", "FullyShardedDataParallel", "DeepSpeedEngine")


class AlumStep:
    """Step of adversarial training: all passes of a ``transformers`` model with a task head, on a labelled batch.

    ``settings`` change the method's row of the table (``epsilon=0.05``, ``layer="embeddings"``, …). ``backward`` is how
    a loss is back-propagated, for loops that scale it (``accelerator.backward``). The model may be compiled, wrapped by
    DDP or sharded (``fully_shard``). For other modules build a `HookedBatch` and call `alum_loss`.

    With ``target_divergence`` the radius is changed after each call until the divergence is that, in nats. Random
    perturbations follow from ``seed``, the number of the call and the tokens of each row, whichever process it is in;
    those of rows of vectors (``inputs_embeds``), and labels that are drawn, from seed, call and process. `state_dict`
    is what a loop keeps with its checkpoints to go on as if nothing had been.

    A method with a proximal term keeps an ``average`` of the weights: call `after_optimizer_step` after each one, and
    ``average.save`` and ``average.load`` with checkpoints.

    Where the model runs without padding (`PaddingFree`), so do all passes.

    >>> step = AlumStep(model, "alum_one_pass")  # doctest: +SKIP
    >>> result = step(batch)  # instead of model(**batch).loss.backward()  # doctest: +SKIP
    """

    def __init__(
        self,
        model: nn.Module,
        method: str = "alum_one_pass",
        kind: TaskKind | None = None,
        backward: Callable[[Tensor], None] = Tensor.backward,
        target_divergence: float | None = None,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        if (wrapper := type(model).__name__) in _REFUSED:
            raise InputError(
                f"{wrapper} is not supported here: wrap the model by DistributedDataParallel, shard it by fully_shard "
                "(FSDP2), or give it as it is."
            )
        inside = extract_model_from_parallel(model, keep_torch_compile=False)
        if isinstance(model, OptimizedModule) and model._orig_mod is not inside:
            raise InputError(
                f"{type(model._orig_mod).__name__} was compiled with the model in it, and the passes around it, which "
                "are not compiled, would draw other dropout masks. Compile the model before it is wrapped: "
                "model.compile()."
            )
        self.model = model
        self.method = method_named(method, **settings)
        self.radius = Radius()
        self.target_divergence = target_divergence
        if target_divergence is not None:
            check_target(target_divergence, self.method)
        self.kind = kind or kind_of(pretrained_model(model))
        if self.method.changes_text:
            check_compares_rows(self.kind, self.method.space, "space")
        if self.method.chooses_text_by_gradient and self._is_sharded():
            raise InputError(
                "text_choice 'gradient' looks up the embeddings of the drawn texts beside a pass, and each process has "
                "a part of them alone. Choose 'divergence', or do not shard the model."
            )
        self._backward = backward
        self._seed = seed
        self.num_calls = 0
        self._is_checked = False
        Injection(model, self.method.layer)  # a model that cannot be perturbed is refused now
        check_place(self.method, model)
        check_output_embeddings(self.method, model, self.kind)
        self.average = self._new_average()

    def __call__(self, inputs: Mapping[str, Any], num_gain_draws: int = 0, num_further_steps: int = 0) -> AlumResult:
        """Fills the gradients of ℓ + α·D; with ``num_gain_draws`` random perturbations the gain is measured too.

        With ``num_further_steps`` of ascent from δ on, so is the share of the divergence that δ has of theirs.
        Methods that change texts want the texts that were drawn for the rows in the batch, as ``drawn_texts``
        (`RowTexts.drawn`). Rows without labels train by D alone: those labelled -100, or all of a batch without labels.
        """
        if is_compiled(self.model):
            heed_hooks()
        inputs, drawn = without_drawn(inputs)
        self._check_batch(inputs)
        without_labels = unlabelled(pretrained_model(self.model), inputs)
        model = extract_model_from_parallel(self.model, keep_torch_compile=False)
        method = dataclasses.replace(self.method, epsilon=self.method.epsilon * self.radius.factor)
        passes = Passes(self.model, model, method)
        packed = packed_rows(inputs)
        mask = padding_mask_for(pretrained_model(self.model), inputs) if packed is None else packed.mask
        noise = StepNoise(self._seed, _process_index(), mask.device)

        def with_loss(module: nn.Module, inputs: Mapping[str, Any] = inputs) -> tuple[Tensor, Any]:
            outputs = module(**inputs)
            if outputs.loss is None:
                return no_task_loss(outputs), outputs
            return loss_where(labels_of_items(inputs).ne(IGNORED_LABEL).any(), outputs.loss), outputs

        def run_averaged() -> Any:
            assert self.average is not None
            return self.average(**without_labels)

        def clean() -> tuple[Tensor, Any]:
            with getattr(self.model, "no_sync", nullcontext)() if method.has_one_graph else nullcontext():
                return with_loss(self.model)

        batch = HookedBatch(
            model=model,
            injection=Injection(self.model, method.layer, packed or rows_without_padding(model, inputs)),
            mask=mask,
            token_ids=lambda: token_ids_of(inputs, packed),
            noise_seed=noise.common.seed_at(self.num_calls),
            run=lambda: passes.next()(**without_labels),
            run_with_loss=lambda: with_loss(passes.next()),
            run_clean=clean,
            compared=lambda outputs: self.kind.compared(outputs, inputs),
            distance=self.kind.distance,
            likelihood=self.kind.likelihood,
            dropout=method.dropout,
            at_labels=label_recording(method, model, self.kind, dict(inputs)),
            run_averaged=run_averaged,
            drawn=None
            if drawn is None
            else drawn_passes(drawn, inputs, passes.next, with_loss, word_embeddings(model)),
        )
        result = alum_loss(
            batch,
            method,
            generator=noise.at(self.num_calls),
            backward=self._backward,
            num_gain_draws=num_gain_draws,
            num_further_steps=num_further_steps,
        )
        self._check_once(batch, result)
        self._control_radius(result)
        self._backward(result.loss)
        self.num_calls += 1
        return result

    def _check_once(self, batch: HookedBatch, result: AlumResult) -> None:
        """Checks the model at the first batch that is perturbed."""
        if result.delta is not None and not self._is_checked:
            self._is_checked = True
            if not is_compiled(self.model):  # compiled without gradients, a pass may draw other masks
                batch.check()

    def _check_batch(self, inputs: Mapping[str, Any]) -> None:
        """Raises `InputError` for a batch that the method cannot be run on, and where weights have changed unseen."""
        if self.average is not None and self.average.lags_behind():
            raise InputError(
                f"method {self.method.name!r} keeps an average of the weights, which have changed since it saw them. "
                "Call after_optimizer_step() after each step of the optimizer, and make the AlumStep after the model's "
                "weights were loaded."
            )
        if not has_labels(inputs):
            refuse_without_labels(self.method, inputs)
        check_words_are_looked_up(self.method, self.model, inputs)

    def after_optimizer_step(self, progress: float = 1.0) -> None:
        """Moves the proximal term's average to the weights as they are now; ``progress`` is the share of training done.

        Without a proximal term it does nothing.
        """
        if self.average is not None:
            self.average.follow(momentum_at(progress, self.method.proximal_momentum))

    def state_dict(self) -> dict[str, Any]:
        """Numbers that change from call to call, the same in all processes; the ``average`` is kept apart."""
        return {"num_calls": self.num_calls, "radius": dataclasses.asdict(self.radius)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `state_dict`."""
        self.num_calls, self.radius = state["num_calls"], Radius(**state["radius"])

    def _is_sharded(self) -> bool:
        return any(isinstance(weight, DTensor) for weight in self.model.parameters())

    def _new_average(self) -> AveragedWeights | None:
        if not self.method.has_proximal_term:
            return None
        if self._is_sharded():
            raise InputError(
                f"method {self.method.name!r} has a proximal term, whose average needs the weights whole, and "
                "fully_shard keeps a part of them in each process. Use DistributedDataParallel, or set proximal_weight "
                "to 0."
            )
        if is_compiled(self.model):
            raise InputError(
                f"method {self.method.name!r} has a proximal term, whose pass is not compiled and would draw other "
                "dropout masks. Give it the model that is not compiled, or set proximal_weight to 0."
            )
        return AveragedWeights(extract_model_from_parallel(self.model))

    def _control_radius(self, result: AlumResult) -> None:
        if self.target_divergence is None:
            return
        sums = torch.stack((result.loss_at_delta.float(), 1 - result.skipped))
        if torch.distributed.is_available() and torch.distributed.is_initialized():  # all processes have one radius
            torch.distributed.all_reduce(sums)
        loss, count = sums.tolist()
        self.radius = self.radius.after(loss / count if count else None, self.target_divergence)


def _process_index() -> int:
    is_distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    return torch.distributed.get_rank() if is_distributed else 0
