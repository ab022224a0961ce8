"""Directions that are found in bfloat16, by what they do to the model in fp32; what cannot find one is warned of."""

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from alum.core.divergences import symmetric_kl
from alum.core.methods import METHODS
from alum.models.hooks.injection import Injection
from alum.training.step import AlumStep
from alum.training.trainer import AlumTrainer
from tiny_models import classifier
from tiny_runs import FOR_ANY_MODEL, config, labelled_sentences

ROUNDED = ["alum", "alum_paper", "alum_released", "smart"]
RESOLVED = [name for name, row in METHODS.items() if row.num_steps and name not in ROUNDED]


@pytest.fixture(scope="module")
def trained():
    """A model that is sure of its labels, and a batch."""
    torch.manual_seed(0)
    shape = {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 256}
    model = BertForSequenceClassification(BertConfig(vocab_size=500, num_labels=3, **shape)).train()
    ids = torch.randint(5, 500, (32, 24))
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids[:, 1] % 3}
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    for _ in range(40):
        model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval(), batch


def divergence_of_delta(trained, name, dtype):
    """Divergence in fp32 at the δ that a step in ``dtype`` finds."""
    model, batch = trained
    torch.manual_seed(0)
    with torch.autocast("cpu", dtype=dtype, enabled=dtype is not None):
        delta = AlumStep(model, name, epsilon=0.1)(batch).delta
    model.zero_grad()
    with torch.no_grad():
        clean = model(**batch).logits
        with Injection(model).adding(delta):
            return symmetric_kl(model(**batch).logits, clean).mean().item()


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize("name", RESOLVED)
def test_in_bfloat16_they_move_the_model_as_far(trained, name):
    exact, rounded = (divergence_of_delta(trained, name, dtype) for dtype in (None, torch.bfloat16))
    assert rounded == pytest.approx(exact, rel=0.1)


def test_the_ascent_of_the_divergence_does_not(trained):
    exact, rounded = (divergence_of_delta(trained, "alum", dtype) for dtype in (None, torch.bfloat16))
    assert rounded < 0.9 * exact


@pytest.mark.parametrize("name", [name for name in FOR_ANY_MODEL if name != "standard"])
@pytest.mark.parametrize("pure", [False, True], ids=["autocast", "pure"])
def test_what_rounding_hides_is_warned_of(tmp_path, caplog, name, pure):
    model = classifier().to(torch.bfloat16) if pure else classifier()
    AlumTrainer(model=model, args=config(tmp_path, adv_method=name, bf16=not pure), train_dataset=labelled_sentences())
    warned = any("mostly rounding" in message for message in caplog.messages)
    assert warned == (name in ROUNDED)


def test_in_fp32_nothing_is(tmp_path, caplog):
    AlumTrainer(model=classifier(), args=config(tmp_path, adv_method="alum"), train_dataset=labelled_sentences())
    assert not caplog.messages
