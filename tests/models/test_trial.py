import pytest
import torch

from alum.core.errors import InputError
from alum.models.trial import check_first_pass
from tiny_models import classifier, token_batch


def test_a_model_that_runs_is_left_as_it_was():
    model = classifier(dropout=0.3).train()
    state = torch.get_rng_state()
    check_first_pass(model, token_batch(), "it")
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert all(weight.grad is None for weight in model.parameters())


def test_a_model_that_cannot_be_run_is_named_with_the_reason():
    model = classifier()
    model.bert.encoder.layer[1].chunk_size_feed_forward = {"a": 1}
    with pytest.raises(InputError, match=r"it cannot be run on the first rows: TypeError.* may be of another model"):
        check_first_pass(model, token_batch(), "it")


def test_outputs_that_are_no_numbers_are_told():
    model = classifier()
    with torch.no_grad():
        model.classifier.bias.fill_(torch.nan)
    with pytest.raises(InputError, match="no numbers"):
        check_first_pass(model, token_batch(), "it")
