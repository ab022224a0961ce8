"""Settings of `torch.compile` for models whose hooks are added and removed between passes."""

from collections.abc import Callable
from typing import TypeVar

import torch
import torch._functorch.config
from accelerate import Accelerator
from accelerate.utils import DistributedType, DynamoBackend, TorchDynamoPlugin
from torch import nn
from torch._dynamo import OptimizedModule
from transformers import TrainingArguments

_LEFT_TO_ACCELERATE = (DistributedType.FSDP, DistributedType.DEEPSPEED)  # they change the modules before they compile

Hook = TypeVar("Hook", bound=Callable[..., object])


def is_compiled(model: nn.Module) -> bool:
    """Whether the model, or a module in it, is compiled: wrapped by `torch.compile`, or in place."""
    return any(isinstance(m, OptimizedModule) or m._compiled_call_impl is not None for m in model.modules())


def compile_as_asked(model: nn.Module, args: TrainingArguments, accelerator: Accelerator) -> None:
    """Compiles the model in place where ``args`` or ``accelerate launch`` ask for it.

    Accelerate would compile DDP with the model in it, and a pass around DDP would run other code, with other dropout
    masks than the pass through it.
    """
    plugin = TorchDynamoPlugin(backend=args.torch_compile_backend, mode=args.torch_compile_mode)
    if plugin.backend == DynamoBackend.NO or accelerator.distributed_type in _LEFT_TO_ACCELERATE:
        return
    accelerator.state.dynamo_plugin = TorchDynamoPlugin(backend=DynamoBackend.NO)
    if not is_compiled(model):
        model.compile(**plugin.to_kwargs())


def heed_hooks() -> None:
    """Makes compiled code check at each call whether a module's hooks are those that it was compiled with.

    By default it does not, and runs what was compiled for the first pass: without the perturbation, where training
    began without an adversary. Holds for all that this thread compiles (read in torch 2.13); a check takes
    microseconds. The first call in a thread has everything compiled anew, since older code does not check.
    """
    # A clean pass's graph is differentiated twice by methods that take δ's direction from it: it keeps its buffers.
    # Measured cost on a CPU: none (torch 2.13, two feed-forward blocks of 256: 49.0 MiB, 0.95 s with and without).
    torch._functorch.config.donated_buffer = False
    # Only what runs inside DDP's own forward pass is cut at its buckets, and draws other dropout masks than the passes
    # around it. What is lost: gradients are averaged after the backward pass, not during it.
    torch._dynamo.config.optimize_ddp = False
    if torch._dynamo.config.skip_nnmodule_hook_guards:
        torch._dynamo.config.skip_nnmodule_hook_guards = False
        torch.compiler.reset()


def not_compiled(hook: Hook) -> Hook:
    """Excludes a hook from compilation: it holds the state of one pass, and would be compiled again for the next."""
    disabled: Hook = torch.compiler.disable(hook)
    return disabled
