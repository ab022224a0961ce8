import pytest
import torch
from torch import nn

from alum.core.methods import method_named
from alum.models.hooks.frozen import frozen
from alum.training.parts.passes import Passes

JOINT, ONE_PASS = method_named("alum"), method_named("alum_one_pass")


class Wrapper(nn.Module):
    """Averages gradients, let us say."""

    def __init__(self, module):
        super().__init__()
        self.module = module


@pytest.fixture
def model():
    return nn.Linear(2, 2)


def test_where_one_graph_is_alive_the_first_differentiated_pass_goes_through_the_wrapper(model):
    wrapper = Wrapper(model)
    passes = Passes(wrapper, model, ONE_PASS)
    with torch.no_grad():
        assert passes.next() is model
    assert [passes.next() for _ in range(3)] == [wrapper, model, model]


def test_that_is_after_the_passes_of_the_ascent(model):
    wrapper = Wrapper(model)
    passes = Passes(wrapper, model, method_named("pgd", num_steps=2))
    with frozen(model):
        assert [passes.next() for _ in range(2)] == [model, model]
    assert [passes.next() for _ in range(2)] == [wrapper, model]


@pytest.mark.parametrize("name", ["alum", "alum_virtual"])
def test_where_two_are_none_does_after_the_clean_one(model, name):
    passes = Passes(Wrapper(model), model, method_named(name))
    assert [passes.next() for _ in range(3)] == [model, model, model]


@pytest.mark.parametrize("method", [JOINT, ONE_PASS], ids=lambda method: method.name)
def test_all_passes_go_through_a_model_that_is_only_compiled(model, method):
    compiled = torch.compile(model, backend="eager")
    passes = Passes(compiled, model, method)
    assert [passes.next() for _ in range(3)] == [compiled, compiled, compiled]
    with torch.no_grad():
        assert passes.next() is compiled
