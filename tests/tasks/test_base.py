import pytest
import torch
from transformers.modeling_outputs import BaseModelOutput, SequenceClassifierOutput

from alum.core.errors import InputError
from alum.tasks.base import logits_of


def test_logits_of_a_model_output():
    logits = torch.ones(2, 3)
    assert logits_of(SequenceClassifierOutput(logits=logits)) is logits


@pytest.mark.parametrize("outputs", [(torch.ones(2, 3),), BaseModelOutput(last_hidden_state=torch.ones(2, 3)), None])
def test_other_outputs_are_refused_by_name(outputs):
    with pytest.raises(InputError, match=type(outputs).__name__):
        logits_of(outputs)
