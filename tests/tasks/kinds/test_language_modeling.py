import pytest
import torch
import torch.nn.functional as F

from alum.models.hooks.predicted_positions import head_sees_only
from alum.tasks.kinds.language_modeling import CAUSAL_LM, MASKED_LM
from tiny_models import CAUSAL, LANGUAGE_MODELS, language_model, token_batch

IGNORED = -100
LABELS = torch.tensor([[IGNORED, 7, IGNORED, 8], [5, IGNORED, IGNORED, IGNORED]])


def test_a_masked_model_predicts_where_the_labels_are():
    rows, labels = MASKED_LM.predicted_rows(LABELS)
    assert (rows.tolist(), labels.tolist()) == ([1, 3, 4], [7, 8, 5])


def test_a_causal_model_predicts_one_position_earlier_and_never_the_first_label():
    rows, labels = CAUSAL_LM.predicted_rows(LABELS)
    assert (rows.tolist(), labels.tolist()) == ([0, 2], [7, 8])


@pytest.mark.parametrize("architecture", LANGUAGE_MODELS)
def test_the_loss_over_the_predicted_rows_is_the_models_own(architecture):
    kind = CAUSAL_LM if architecture in CAUSAL else MASKED_LM
    model, batch = language_model(architecture), token_batch()
    labels = batch["input_ids"].masked_fill(torch.rand(2, 9, generator=torch.Generator().manual_seed(0)) < 0.5, IGNORED)
    output = model(**batch, labels=labels)
    rows, targets = kind.predicted_rows(labels)
    torch.testing.assert_close(F.cross_entropy(output.logits.flatten(0, 1)[rows], targets), output.loss)


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_the_outputs_compared_are_the_same_with_all_rows_and_with_the_predicted_ones(architecture):
    kind = CAUSAL_LM if architecture in CAUSAL else MASKED_LM
    model, batch = language_model(architecture), token_batch()
    inputs = {**batch, "labels": batch["input_ids"].masked_fill(batch["input_ids"] % 2 == 0, IGNORED)}
    rows, _ = kind.predicted_rows(inputs["labels"])
    with torch.no_grad():
        everywhere = model(**batch)
        with head_sees_only(model, rows):
            gathered = model(**batch)
    torch.testing.assert_close(kind.compared(gathered, inputs), kind.compared(everywhere, inputs))
    assert kind.compared(gathered, inputs).shape == (len(rows), 64)
