import pytest
import torch
from torch import nn

from alum.training.parts.passes import Passes


class Wrapper(nn.Module):
    """Averages gradients, let us say."""

    def __init__(self, module):
        super().__init__()
        self.module = module


@pytest.fixture
def model():
    return nn.Linear(2, 2)


def test_in_one_pass_methods_the_first_differentiated_pass_goes_through_the_wrapper(model):
    wrapper = Wrapper(model)
    passes = Passes(wrapper, model, one_pass=True)
    with torch.no_grad():
        assert passes.next() is model
    assert [passes.next() for _ in range(3)] == [wrapper, model, model]


def test_in_joint_methods_none_does_after_the_clean_one(model):
    passes = Passes(Wrapper(model), model, one_pass=False)
    assert [passes.next() for _ in range(3)] == [model, model, model]


@pytest.mark.parametrize("one_pass", [True, False])
def test_all_passes_go_through_a_model_that_is_only_compiled(model, one_pass):
    compiled = torch.compile(model, backend="eager")
    passes = Passes(compiled, model, one_pass)
    assert [passes.next() for _ in range(3)] == [compiled, compiled, compiled]
    with torch.no_grad():
        assert passes.next() is compiled


def test_none_does_through_a_compiled_wrapper_that_averages(model):
    wrapper = torch.compile(Wrapper(model), backend="eager")
    assert Passes(wrapper, model, one_pass=False).next() is model
