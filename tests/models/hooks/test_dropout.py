import contextlib

import torch
from torch import nn

from alum.models.hooks.dropout import without_dropout
from tiny_models import classifier


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
