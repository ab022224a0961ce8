"""What `torch.compile` must be told of hooks that come and go."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn
from torch._dynamo import OptimizedModule

Hook = TypeVar("Hook", bound=Callable[..., object])


def is_compiled(model: nn.Module) -> bool:
    """Whether the model, or a module in it, is compiled: wrapped by `torch.compile`, or in place."""
    return any(isinstance(m, OptimizedModule) or m._compiled_call_impl is not None for m in model.modules())


def heed_hooks() -> None:
    """Has the compiler look at every call whether a module's hooks are those that it compiled.

    By default it does not, and goes on with the code of the first pass: without the perturbation, where training began
    without an adversary. Holds for all that this thread compiles (read in torch 2.13); a look takes microseconds. The
    first call in a thread has everything compiled anew, since older code does not look.
    """
    if torch._dynamo.config.skip_nnmodule_hook_guards:
        torch._dynamo.config.skip_nnmodule_hook_guards = False
        torch.compiler.reset()


def not_compiled(hook: Hook) -> Hook:
    """The hook as it stands: what it remembers is of one pass, for the next one it would be compiled again."""
    disabled: Hook = torch.compiler.disable(hook)
    return disabled
