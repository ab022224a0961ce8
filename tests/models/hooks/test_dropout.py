import contextlib

import torch
from torch import nn

from alum.models.hooks.dropout import keeping_random_state, random_state, set_random_state, without_dropout
from tiny_models import classifier

CPU = torch.device("cpu")


def test_a_state_that_is_set_again_draws_the_same_again():
    state = random_state(CPU)
    first = torch.rand(5)
    set_random_state(CPU, state)
    torch.testing.assert_close(torch.rand(5), first, rtol=0, atol=0)


def test_what_is_drawn_inside_changes_nothing_outside():
    torch.manual_seed(0)
    expected = torch.rand(5)
    torch.manual_seed(0)
    with contextlib.suppress(RuntimeError), keeping_random_state(CPU):
        torch.rand(100)
        raise RuntimeError
    torch.testing.assert_close(torch.rand(5), expected, rtol=0, atol=0)


def test_each_module_gets_its_own_mode_back():
    model = classifier().train()
    model.bert.encoder.eval()
    modes = [module.training for module in model.modules()]
    with contextlib.suppress(RuntimeError), without_dropout(model):
        assert not any(module.training for module in model.modules())
        raise RuntimeError
    assert [module.training for module in model.modules()] == modes


def test_dropout_is_off():
    module = nn.Dropout(0.5).train()
    with without_dropout(module):
        assert (module(torch.ones(100)) == 1).all()
    assert (module(torch.ones(100)) != 1).any()
