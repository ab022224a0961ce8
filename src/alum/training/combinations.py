"""Combinations of training settings that cannot work, refused or warned of before training begins."""

import logging

import torch
from accelerate.utils import DistributedType
from torch import nn
from transformers.training_args import OptimizerNames

from alum.core.errors import InputError
from alum.core.methods import Method
from alum.training.config import AlumConfig

logger = logging.getLogger(__name__)

# They update a weight as soon as its gradient is there, by hooks or in a backward pass of their own.
OPTIMIZERS_IN_BACKWARD = tuple(
    name for name in OptimizerNames if name.endswith("_layerwise") or name in ("lomo", "adalomo")
)


def check_combination(args: AlumConfig, method: Method, distributed_type: DistributedType, own_loss: bool) -> None:
    """Raises `InputError` where training with ``method`` would fail, or be another than the settings ask for.

    ``own_loss``: the Trainer was given a ``compute_loss_func``.
    """
    if args.n_gpu > 1:
        raise InputError("DataParallel is not supported: start one process a GPU with torchrun or accelerate.")
    shares_masks = method.dropout == "shared" and not method.is_for_language_models
    if args.torch_compile and args.world_size > 1 and shares_masks:
        raise InputError(
            "torch_compile in several processes cannot share dropout masks between passes, some of which are compiled "
            "and some not: their divergence would be dropout noise. Leave torch_compile out, or set adv_dropout 'off'."
        )
    if method.has_proximal_term:
        _check_average(args, method, distributed_type)
    if distributed_type == DistributedType.FSDP and method.has_one_graph and method.blocks:
        raise InputError(
            f"with FSDP {method.name!r} cannot perturb block {method.blocks[0]}: the weights of the blocks below are "
            "freed before their gradients are taken. Choose the layer 'word' or 'embeddings', or a method with passes "
            "of its own ('alum', 'pgd')."
        )
    if _re_entrant_checkpointing(args) and (method.num_own_passes or method.gradient == "clean_pass"):
        raise InputError(
            f"re-entrant gradient checkpointing cannot give the gradient that method {method.name!r} ascends. Use "
            "gradient_checkpointing_kwargs {'use_reentrant': False}, or 'alum_one_pass'."
        )
    if what := _back_propagating_twice(args, method):
        updating = "DeepSpeed" if distributed_type == DistributedType.DEEPSPEED else ""
        if args.optim in OPTIMIZERS_IN_BACKWARD:
            updating = f"optimizer {OptimizerNames(args.optim).value!r}"
        if updating:
            raise InputError(
                f"{updating} updates the weights in its backward pass, of which {what} has two in a step. Choose "
                f"'alum' with adv_fraction 1{'' if updating == 'DeepSpeed' else ', or another optim'}."
            )
    if own_loss and args.adv_fraction < 1:
        raise InputError(
            "adv_fraction below 1 needs the model's own loss: a compute_loss_func does not say how the losses of two "
            "parts of a batch add up. Leave it at 1."
        )


def _check_average(args: AlumConfig, method: Method, distributed_type: DistributedType) -> None:
    reason = ""
    if distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED):
        reason = "FSDP and DeepSpeed may keep a part of the weights in each process, and an average needs them whole"
    elif args.torch_compile:
        reason = "the pass with averaged weights is not compiled, and compiled ones draw other dropout masks"
    if reason:
        raise InputError(
            f"method {method.name!r} has a proximal term, which does not work here: {reason}. Set adv_proximal_weight "
            "to 0, or train with DDP or in one process, without torch_compile."
        )


def check_hooks(model: nn.Module, args: AlumConfig, method: Method) -> None:
    """Raises `InputError` where hooks on accumulated gradients, in which optimizers step, would run twice in a step."""
    what = _back_propagating_twice(args, method)
    if not what:
        return
    for name, parameter in model.named_parameters():
        if parameter._post_accumulate_grad_hooks:
            raise InputError(
                f"the weight {name} has a hook that is called when its gradient was accumulated "
                f"(register_post_accumulate_grad_hook), as optimizers have that step in it. {what.capitalize()} would "
                "call it twice in a step, the first time without the adversary. Remove it, or choose 'alum' with "
                "adv_fraction 1."
            )


def warn_of_rounding(model: nn.Module, args: AlumConfig, method: Method) -> None:
    """Warns where the gradient that δ follows is of a difference which the precision does not resolve.

    The divergence from the start of its ascent, a share of the radius, moves few logits by a step of bfloat16.
    """
    in_bfloat16 = args.bf16 or any(parameter.dtype == torch.bfloat16 for parameter in model.parameters())
    if in_bfloat16 and method.alpha > 0 and method.ascent == "divergence" and method.num_steps:
        logger.warning(
            "in bfloat16 the divergence that method %r ascends is mostly rounding at its start, and what it finds may "
            "be hardly better than noise, at any radius. Choose adv_method 'alum_virtual', or adv_ascent 'predicted': "
            "the gradient of a loss needs no difference of outputs. fp16 and fp32 resolve it better.",
            method.name,
        )


def _back_propagating_twice(args: AlumConfig, method: Method) -> str:
    """What makes a step have two backward passes that reach weights, in words; empty where nothing does."""
    if method.has_one_graph:
        return f"method {method.name!r}"
    return "adv_fraction below 1" if args.adv_fraction < 1 else ""


def _re_entrant_checkpointing(args: AlumConfig) -> bool:
    kwargs = args.gradient_checkpointing_kwargs
    return bool(args.gradient_checkpointing and isinstance(kwargs, dict) and kwargs.get("use_reentrant"))
