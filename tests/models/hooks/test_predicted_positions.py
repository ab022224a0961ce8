import pytest
import torch
from torch import nn

from alum.models.hooks.predicted_positions import head_sees_only
from tiny_models import LANGUAGE_MODELS, language_model, token_batch

ROWS = torch.tensor([1, 4, 9, 13])


@pytest.mark.parametrize("architecture", LANGUAGE_MODELS)
def test_the_kept_rows_have_the_logits_they_always_have(architecture):
    model, batch = language_model(architecture), token_batch()
    with torch.no_grad():
        everywhere = model(**batch).logits
        with head_sees_only(model, ROWS):
            kept = model(**batch).logits
        afterwards = model(**batch).logits
    assert kept.shape == (1, 4, everywhere.shape[-1])
    torch.testing.assert_close(kept[0], everywhere.flatten(0, 1)[ROWS], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(afterwards, everywhere, rtol=0, atol=0)


def test_the_vocabulary_projection_computes_no_other_rows():
    model, sizes = language_model(), []
    model.cls.predictions.decoder.register_forward_hook(lambda module, inputs, output: sizes.append(output.shape))
    with head_sees_only(model, ROWS):
        model(**token_batch())
    assert sizes == [(1, 4, 64)]


def test_models_that_return_tuples():
    model, batch = language_model(), token_batch()
    expected = model(**batch).logits.flatten(0, 1)[ROWS]
    with head_sees_only(model, ROWS):
        (logits,) = model(**batch, return_dict=False)
    torch.testing.assert_close(logits[0], expected)


def test_no_predicted_rows_at_all():
    model = language_model()
    with head_sees_only(model, torch.tensor([], dtype=torch.long)):
        assert model(**token_batch()).logits.shape == (1, 0, 64)


def test_the_hook_is_gone_after_a_failure():
    model = language_model()
    with pytest.raises(RuntimeError, match="stop"), head_sees_only(model, ROWS):
        raise RuntimeError("stop")
    assert not any(module._forward_hooks for module in model.modules() if isinstance(module, nn.Module))
