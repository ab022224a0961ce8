"""What `torch.compile` must be told before hooks come and go."""

import torch
from torch import nn


def is_compiled(model: nn.Module) -> bool:
    """Whether the model, or a module in it, is compiled: wrapped by `torch.compile`, or in place."""
    return any(hasattr(module, "_orig_mod") or module._compiled_call_impl is not None for module in model.modules())


def heed_hooks() -> None:
    """Has the compiler look at every call whether a module's hooks are those that it compiled.

    By default it does not, and goes on with the code of the first pass: without the perturbation, where training began
    without an adversary. Holds for the whole process; a look takes microseconds.
    """
    if torch._dynamo.config.skip_nnmodule_hook_guards:
        torch._dynamo.config.skip_nnmodule_hook_guards = False
        torch.compiler.reset()  # code that was compiled before does not look
