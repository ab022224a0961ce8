"""Combinations of training settings that cannot work, refused or warned of before training begins."""

import logging

import torch
from accelerate.utils import DistributedType
from torch import nn
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled
from transformers.training_args import OptimizerNames

from alum.core.errors import InputError
from alum.core.method_settings import Method
from alum.models.model_parts import CHECKPOINTING
from alum.training.config import AlumConfig

logger = logging.getLogger(__name__)

# They update a weight as soon as its gradient is there, by hooks or in a backward pass of their own.
OPTIMIZERS_IN_BACKWARD = tuple(
    name for name in OptimizerNames if name.endswith("_layerwise") or name in ("lomo", "adalomo")
)


def check_combination(
    args: AlumConfig, method: Method, distributed_type: DistributedType, fsdp_version: int, own_loss: bool
) -> None:
    """Raises `InputError` where training with ``method`` would fail, or be another than the settings ask for.

    ``fsdp_version`` counts with FSDP alone. ``own_loss``: the Trainer was given a ``compute_loss_func``.
    """
    if args.n_gpu > 1:
        raise InputError("DataParallel is not supported: start one process a GPU with torchrun or accelerate.")
    shares_masks = method.dropout == "shared" and not method.is_for_language_models
    if args.torch_compile and shares_masks and distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED):
        raise InputError(
            "with FSDP and DeepSpeed, where torch_compile was not tried, some passes might run compiled and others "
            "not, which do not share their dropout masks. Leave torch_compile out, train with DDP, or set adv_dropout "
            "'off'."
        )
    if method.has_proximal_term:
        _check_average(args, method, distributed_type)
    if method.chooses_text_by_gradient and distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED):
        raise InputError(
            "adv_text_choice 'gradient' looks up the embeddings of the drawn texts beside a pass, and with FSDP and "
            "DeepSpeed a process may have a part of them alone. Choose 'divergence', or train with DDP."
        )
    if distributed_type == DistributedType.FSDP and fsdp_version < 2:
        raise InputError(
            f"method {method.name!r} has several forward passes before a backward pass, for which FSDP1 frees weights "
            "too early (pytorch#136861). Use FSDP2: fsdp_config {'version': 2}, or fsdp_version: 2 in the "
            "configuration of accelerate."
        )
    if _re_entrant_checkpointing(args) and (method.num_own_passes or method.gradient == "clean_pass"):
        raise InputError(
            f"re-entrant gradient checkpointing cannot give the gradient that method {method.name!r} ascends. Use "
            f"{CHECKPOINTING}_kwargs {{'use_reentrant': False}}, or 'alum_one_pass'."
        )
    what = _back_propagating_twice(args, method)
    if what and args.optim in OPTIMIZERS_IN_BACKWARD:
        raise InputError(
            f"optimizer {OptimizerNames(args.optim).value!r} updates the weights in its backward pass, of which {what} "
            "has two in a step. Choose 'alum' with adv_fraction 1, or another optim."
        )
    if what and distributed_type == DistributedType.DEEPSPEED and is_deepspeed_zero3_enabled():
        raise InputError(
            f"{what} has two backward passes in a step, which DeepSpeed does not add up with ZeRO 3. Set stage 2, or "
            "choose 'alum_virtual' or 'alum' with adv_fraction 1."
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
    kwargs = getattr(args, f"{CHECKPOINTING}_kwargs")
    return bool(getattr(args, CHECKPOINTING) and isinstance(kwargs, dict) and kwargs.get("use_reentrant"))
