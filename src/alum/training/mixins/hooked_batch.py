"""Micro-batch of a Trainer as the objective sees it: passes by the Trainer's own loss, or as that calls the model."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import torch
from accelerate.utils import DistributedType
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from alum.core.errors import InputError
from alum.core.method_settings import Method
from alum.models.hooks.hooked_batch import HookedBatch
from alum.models.hooks.injection import Injection
from alum.models.hooks.packed_rows import PackedRows, packed_rows, token_ids_of
from alum.models.hooks.padding_free import rows_without_padding
from alum.models.inputs import Inputs, padding_mask_for, unlabelled
from alum.models.model_parts import pretrained_model, word_embeddings
from alum.training.libraries.figures import uncounted
from alum.training.libraries.sentence_transformers import Columns
from alum.training.libraries.trl import FUSED, logits_beside_fused_head, predicted_rows
from alum.training.mixins.padding_free import PaddingFreeMixin
from alum.training.parts.batch_parts import Part
from alum.training.parts.drawn_texts import drawn_passes
from alum.training.parts.output_embeddings import label_recording
from alum.training.parts.passes import Passes, outputs_before_wrapper
from alum.training.parts.perturbed_place import check_words_are_looked_up
from alum.training.parts.recorded_call import RecordedCall


class HookedBatchMixin(PaddingFreeMixin):
    """Makes a `HookedBatch` of the attacked rows of a micro-batch."""

    def _batch(
        self,
        model: nn.Module,
        part: Part,
        num_items: Any,
        method: Method,
        drawn: Mapping[str, Tensor] | None = None,
    ) -> HookedBatch:
        assert self.kind is not None
        kind, inputs = self.kind, part.inputs
        check_words_are_looked_up(method, self.model, inputs)
        packed = packed_rows(inputs)
        passes = Passes(model, self.model, method)
        average = self._average.weights() if method.has_proximal_term else None
        call = self._call_of_loss()

        def passes_by(module: Callable[[], Callable[..., Any]]) -> Callable[[], Any]:
            return self._run_of(inputs, module) if call is None else lambda: self._repeated(call, module)

        def with_loss(module: nn.Module, share: Tensor | float | None) -> tuple[Tensor, Any]:
            if call is None:
                return self._task_loss(module, inputs, num_items, share, return_outputs=True)
            with logits_beside_fused_head(self.model), call.recording(inputs, module):
                loss, _ = self._task_loss(module, inputs, num_items, share)
            return loss, call.outputs

        def run_with_loss() -> tuple[Tensor, Any]:
            is_clean = method.term == "ascent_losses"  # of which there is none beside it
            with uncounted(self):
                return with_loss(passes.next(), part.share if is_clean else part.adversarial_share)

        def run_clean() -> tuple[Tensor, Any]:
            synchronized = self._not_averaging(model) if method.has_one_graph else contextlib.nullcontext()
            is_repeated = not torch.is_grad_enabled()  # with a graph, after the ascent
            counting = uncounted(self) if is_repeated else contextlib.nullcontext()
            with self._clock.part("clean"), synchronized, counting:
                return self._unseen_by_engine(lambda: with_loss(model, part.share))

        def loss_at(module: nn.Module, inputs: Inputs) -> tuple[Tensor, Any]:
            with uncounted(self):
                return self._task_loss(module, inputs, num_items, part.adversarial_share, return_outputs=True)

        def seen() -> Inputs:
            return inputs if call is None else {**inputs, **call.inputs}

        return HookedBatch(
            model=self.model,
            injection=Injection(self.model, method.layer, packed or rows_without_padding(self.model, inputs)),
            mask=torch.empty(0, device=self.args.device),
            mask_of_pass=lambda: self._perturbable(seen(), packed),
            token_ids=lambda: token_ids_of(seen(), packed),
            noise_seed=self._noise.common.seed_at(self.state.global_step),
            run=passes_by(passes.next),
            run_with_loss=run_with_loss,
            run_clean=run_clean,
            compared=lambda outputs: kind.compared(outputs, seen()),
            distance=kind.distance,
            likelihood=kind.likelihood,
            dropout=method.dropout,
            scale=1.0 if part.adversarial_share is None else part.adversarial_share,
            at_labels=label_recording(method, self.model, kind, inputs),
            run_averaged=None if average is None else passes_by(lambda: average),
            drawn=None
            if drawn is None
            else drawn_passes(drawn, inputs, passes.next, loss_at, word_embeddings(self.model)),
        )

    def _unseen_by_engine(self, run: Callable[[], tuple[Tensor, Any]]) -> tuple[Tensor, Any]:
        """Loss and outputs of a pass, whose gradients DeepSpeed's engine would take for the step's backward pass."""
        if self.accelerator.distributed_type != DistributedType.DEEPSPEED:
            return run()
        with outputs_before_wrapper(self.model) as outputs:
            loss, _ = run()
        return loss, outputs()

    def _not_averaging(self, model: nn.Module) -> contextlib.AbstractContextManager[Any]:
        """Leaves the average over processes to a later pass of the step; DeepSpeed's engine is told in backward."""
        if self.accelerator.distributed_type == DistributedType.DEEPSPEED:
            return contextlib.nullcontext()
        postponed: contextlib.AbstractContextManager[Any] = self.accelerator.no_sync(model)
        return postponed

    def _run_of(self, inputs: Inputs, module: Callable[[], Callable[..., Any]]) -> Callable[[], Any]:
        """Pass over a batch whose entries are the model's arguments."""
        without_labels = unlabelled(pretrained_model(self.model), inputs)
        rows = self._predicted_rows(inputs)

        def run() -> Any:
            with self._head(rows):
                return module()(**without_labels)

        return run

    def _call_of_loss(self) -> RecordedCall | Columns | None:
        """What will be known of how the loss calls the model; None where it is the Trainer's way."""
        if not self._computes_loss_itself():
            return None
        return RecordedCall(self.model) if self._known.columns is None else self._known.columns(self)

    def _repeated(self, call: RecordedCall | Columns, module: Callable[[], Callable[..., Any]]) -> Any:
        """The pass that the loss has made, of the predicted positions where the fused head of TRL scored these."""
        if isinstance(call, Columns):
            return call.repeated_by(module())
        fused = call.inputs.get(FUSED)
        with self._head(predicted_rows(call.inputs["labels"]) if fused else None):
            return call.repeated_by(module(), without=(FUSED,))

    def _perturbable(self, inputs: Inputs, packed: PackedRows | None) -> Tensor:
        mask = self._not_padding(inputs) if packed is None else packed.mask
        if self.args.adv_special_tokens == "perturb":
            return mask
        tokenizer = self.processing_class
        if not isinstance(tokenizer, PreTrainedTokenizerBase):
            raise InputError("adv_special_tokens 'keep' needs the tokenizer: give the trainer a processing_class.")
        if "input_ids" not in inputs:
            raise InputError(
                "adv_special_tokens 'keep' tells special tokens by input_ids, and this batch has vectors: leave it at "
                "'perturb'."
            )
        kept = [i for i in tokenizer.all_special_ids if i != tokenizer.mask_token_id]
        special = torch.isin(inputs["input_ids"], torch.tensor(kept, device=mask.device))
        return mask & ~(special.flatten(0, -2) if packed is None else packed.apart(special))

    def _not_padding(self, inputs: Inputs) -> Tensor:
        return padding_mask_for(self.model, inputs)
