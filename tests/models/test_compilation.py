import torch
import torch._dynamo.config
from torch import nn

from alum.models.compilation import heed_hooks, is_compiled


def layers():
    return nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))


def test_a_compiled_model_is_told_from_others():
    assert not is_compiled(layers())
    assert is_compiled(torch.compile(layers(), backend="eager"))
    in_part = layers()
    in_part[1].compile(backend="eager")
    assert is_compiled(in_part)


def test_hooks_that_come_after_compilation_are_run():
    torch.compiler.reset()
    with torch._dynamo.config.patch(skip_nnmodule_hook_guards=True):  # as in a new process
        model = layers()
        compiled, x = torch.compile(model, backend="eager"), torch.ones(1, 2)
        compiled(x)
        handle = model[0].register_forward_hook(lambda module, inputs, output: output + 1)
        assert not torch.equal(compiled(x), model(x))  # if this fails, the compiler looks by itself now
        heed_hooks()
        torch.testing.assert_close(compiled(x), model(x))
        handle.remove()
        torch.testing.assert_close(compiled(x), model(x))
    torch.compiler.reset()
