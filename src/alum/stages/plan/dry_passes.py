"""Costs of a pass of a model, from passes over tensors that have shapes and no numbers: nothing is computed or held.

PyTorch's own counter says the FLOPs of whatever architecture, and hooks of autograd what a graph keeps.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.initialization import no_init_weights
from transformers.modeling_layers import GradientCheckpointingLayer

from alum.core.errors import InputError
from alum.core.method_settings import Layers
from alum.models.hooks.frozen import frozen
from alum.models.hooks.injection import Injection
from alum.models.hooks.predicted_positions import head_sees_only
from alum.models.model_parts import CHECKPOINTING
from alum.stages.plan.devices import Precision

ATTENTION = "attention_of_a_plan"


@dataclass(frozen=True)
class Head:
    """Head of a model: how it is loaded, the share of the positions that it is for, and what its passes are given."""

    auto_class: Any
    share_of_positions: float | None = None
    inputs: tuple[tuple[str, Any], ...] = ()


HEADS: Mapping[str, Head] = {
    "masked_lm": Head(AutoModelForMaskedLM, share_of_positions=0.15),
    "causal_lm": Head(AutoModelForCausalLM, inputs=(("use_cache", False),)),
    "sequence_classification": Head(AutoModelForSequenceClassification),
}


@dataclass(frozen=True)
class BatchShape:
    """Rows of equal length, without padding, and the place of δ; with ``fused_attention`` no scores are kept.

    With ``checkpointing`` a graph keeps what each block is given, and the block is run again in the backward pass.
    """

    head: str
    num_rows: int
    length_tokens: int
    layer: Layers
    precision: Precision
    fused_attention: bool
    checkpointing: bool = False


@dataclass(frozen=True)
class PassCosts:
    """FLOPs of passes over one batch, and bytes that their graphs keep until they are back-propagated.

    Those ``from_x`` go on from the perturbed place, and ``to_x`` go back down to it; ``ascent`` ones leave the weights
    out. ``outputs`` are the logits, in fp32 and in the precision of the pass.
    """

    forward_flops: int
    forward_from_x_flops: int
    backward_flops: int
    backward_to_x_flops: int
    ascent_backward_flops: int
    graph_bytes: int
    ascent_graph_bytes: int
    cast_bytes: int
    """Of each graph the copies of weights in half precision, which autocast makes."""
    recomputed_bytes: int
    """What the graph of a block keeps that is run again in the backward pass, 0 without checkpointing."""
    largest_bytes: int
    """The largest tensor that a graph keeps; the gradient at it is there beside it."""
    output_bytes: int
    output_bytes_in_fp32: int
    num_parameters: int
    parameters_above_x: int
    """Weights that the first of two backward passes has gradients of, where it stops at x."""
    largest_block_parameters: int
    """Weights of the largest module that sharded training gathers at a time: a block, or what is outside of all."""


def pass_costs(config: PretrainedConfig, shape: BatchShape) -> PassCosts:
    """Counts the passes of a model of this configuration; raises `InputError` where they depend on numbers."""
    problems = []
    for with_mask in (False, True):
        try:
            with FakeTensorMode():
                return _DryRun(config, shape, with_mask).costs()
        except InputError:
            raise
        except (RuntimeError, ValueError, TypeError) as error:  # looks at values, or takes no such mask
            problems.append(error)
    raise InputError(
        f"the cost of a {config.model_type} with head {shape.head} cannot be counted without running it: its passes "
        f"depend on values ({str(problems[0]).splitlines()[0][:120]}). Plan for an architecture of the same shape."
    )


class _DryRun:
    """One model and one batch without numbers."""

    def __init__(self, config: PretrainedConfig, shape: BatchShape, with_mask: bool) -> None:
        attention = partial(_attention, is_fused=shape.fused_attention)
        AttentionInterface.register(ATTENTION, attention)
        AttentionMaskInterface.register(ATTENTION, lambda *_, **__: None)
        with no_init_weights():  # drawing from a truncated normal distribution looks at numbers
            auto_class = HEADS[shape.head].auto_class
            self.model: PreTrainedModel = auto_class.from_config(deepcopy(config), attn_implementation=ATTENTION)
        self.model.tie_weights()
        self.model.train()
        self.shape = shape
        rows, length = shape.num_rows, shape.length_tokens
        self.inputs: dict[str, Any] = {"input_ids": torch.zeros(rows, length, dtype=torch.long)}
        if with_mask:  # decoders that are given none look whether rows hold several texts
            self.inputs["attention_mask"] = torch.ones(rows, 1, length, length, dtype=torch.bool)
        self.inputs |= dict(HEADS[shape.head].inputs)

    def costs(self) -> PassCosts:
        logits, forward, graph = self._forward(nullcontext)
        largest, recomputed = max(graph), 0
        if self.shape.checkpointing:
            recomputed = self._checkpointed(sum(graph))
            logits, forward, graph = self._forward(nullcontext)
        backward = self._backward(logits)
        self.model.zero_grad()
        injection = Injection(self.model, self.shape.layer)
        above = self._backward(self._forward(injection.cutting)[0])
        parameters_above = sum(one.numel() for one in self.model.parameters() if one.grad is not None)
        with frozen(self.model):
            delta = torch.zeros_like(injection.recorded(), dtype=torch.float32).requires_grad_()
            at_delta, from_x, ascent_graph = self._forward(partial(injection.adding, delta, below="cut"))
            ascent = self._backward(at_delta)
        return PassCosts(
            forward_flops=forward,
            forward_from_x_flops=from_x,
            backward_flops=backward,
            backward_to_x_flops=above,
            ascent_backward_flops=ascent,
            graph_bytes=sum(graph),
            ascent_graph_bytes=sum(ascent_graph),
            cast_bytes=_cast_bytes(self.model) if self.shape.precision == "bf16" else 0,
            recomputed_bytes=recomputed,
            largest_bytes=largest,
            output_bytes=logits.numel() * logits.element_size(),
            output_bytes_in_fp32=4 * logits.numel(),
            num_parameters=self.model.num_parameters(),
            parameters_above_x=parameters_above,
            largest_block_parameters=_largest_block(self.model),
        )

    def _checkpointed(self, whole: int) -> int:
        """Lets blocks be run again from here on; the mean of the bytes that each keeps of ``whole`` ones otherwise."""
        if not self.model.supports_gradient_checkpointing:
            raise InputError(f"a {self.model.config.model_type} has no gradient checkpointing: plan without it.")
        getattr(self.model, f"{CHECKPOINTING}_enable")({"use_reentrant": False})
        return (whole - sum(self._forward(nullcontext)[2])) // len(_checkpointed_blocks(self.model))

    def _forward(self, hooks: Callable[[], AbstractContextManager[Any]]) -> tuple[Tensor, int, list[int]]:
        """Logits of a pass under hooks, its FLOPs, and the bytes of each tensor that its graph keeps."""
        counter = FlopCounterMode(display=False)
        with hooks(), self._head(), self._autocast(), _kept(self.model) as kept, counter:
            logits: Tensor = self.model(**self.inputs).logits
        return logits, int(counter.get_total_flops()), list(kept.values())

    def _backward(self, logits: Tensor) -> int:
        with FlopCounterMode(display=False) as counter:
            logits.float().sum().backward()
        return int(counter.get_total_flops())

    def _head(self) -> AbstractContextManager[None]:
        share = HEADS[self.shape.head].share_of_positions
        if share is None:
            return nullcontext()
        num_positions = self.shape.num_rows * self.shape.length_tokens
        return head_sees_only(self.model, torch.arange(math.ceil(share * num_positions)))

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.shape.precision == "bf16")


def _checkpointed_blocks(model: PreTrainedModel) -> list[GradientCheckpointingLayer]:
    return [
        one for one in model.modules() if isinstance(one, GradientCheckpointingLayer) and one.gradient_checkpointing
    ]


@contextmanager
def _kept(model: PreTrainedModel) -> Iterator[dict[int, int]]:
    """Bytes of each storage that the graph of a pass keeps, but for the model's own.

    Of a block that is run again that is what it was given, which autograd's hooks do not see.
    """
    own = {one.untyped_storage()._cdata for one in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage.nbytes()
        return tensor

    def keep_given(_: Any, args: tuple[Any, ...], settings: dict[str, Any]) -> None:
        for one in (*args, *settings.values()):
            if isinstance(one, Tensor):
                keep(one)

    with ExitStack() as stack:
        for block in _checkpointed_blocks(model):
            stack.enter_context(block.register_forward_pre_hook(keep_given, with_kwargs=True))
        stack.enter_context(torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor))
        yield kept


def _attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Any, *, is_fused: bool, **settings: Any
) -> tuple[Tensor, None]:
    """Attention as PyTorch has it: with dropout scores are kept on a CPU, and nowhere else."""
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    dropout, is_causal, scale = settings.get("dropout", 0.0), bool(settings.get("is_causal")), settings.get("scaling")
    if is_fused or dropout == 0:  # the kernel's name, as the counter knows no other one of a CPU's
        kernel = torch.ops.aten._scaled_dot_product_flash_attention
        out = kernel(query, key, value, dropout, is_causal, scale=scale)[0]
    else:
        out = scaled_dot_product_attention(query, key, value, None, dropout, is_causal, scale=scale)
    return out.transpose(1, 2).contiguous(), None


def _cast_bytes(model: PreTrainedModel) -> int:
    """Bytes of all matrices in half precision, but of those that are looked up and not multiplied."""
    looked_up = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}
    head = model.get_output_embeddings()
    looked_up -= {id(head.weight)} if head is not None else set()  # a head that is tied to the table multiplies by it
    return 2 * sum(one.numel() for one in model.parameters() if one.dim() == 2 and id(one) not in looked_up)


def _largest_block(model: PreTrainedModel) -> int:
    """Number of weights of the largest block, or of all that is outside of blocks."""
    blocks = [list(module) for module in model.modules() if isinstance(module, torch.nn.ModuleList)]
    longest = max(blocks, key=len, default=[])
    sizes = [sum(weight.numel() for weight in block.parameters()) for block in longest]
    return max([*sizes, model.num_parameters() - sum(sizes)])
