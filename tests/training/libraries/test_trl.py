"""The stand-in for TRL's fused head against the fused head itself."""

import dataclasses

import pytest
import torch

from alum.training.libraries.trl import logits_beside_fused_head
from tiny_models import language_model, token_batch

utils = pytest.importorskip("trl.trainer.utils", reason="needs the extra trl")

EVERY = ("log_probs", "entropy", "log_sum_sq_probs", "mean_logits", "is_top1")


def model_and_call(architecture):
    model = language_model(architecture, dropout=0.0)
    plain = language_model(architecture, dropout=0.0)
    utils.add_fused_lm_head(model, outputs=EVERY)
    batch = token_batch(lengths=(9, 6, 3))
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    labels[0, :4] = -100
    return model, plain, {**batch, "labels": labels}


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_it_returns_what_the_fused_head_does_and_the_logits(architecture):
    model, plain, call = model_and_call(architecture)
    expected = model(**call, fused_lm_head=True)
    with logits_beside_fused_head(model):
        found = model(**call, fused_lm_head=True)
    for field in dataclasses.fields(expected):
        torch.testing.assert_close(getattr(found, field.name), getattr(expected, field.name), rtol=1e-4, atol=1e-5)
    logits = plain(input_ids=call["input_ids"], attention_mask=call["attention_mask"]).logits[:, :-1]
    torch.testing.assert_close(found["logits"][0], logits[call["labels"][:, 1:] != -100], rtol=1e-4, atol=1e-5)


def test_its_gradients_are_those_of_the_fused_head():
    model, _, call = model_and_call("llama")
    parameters = list(model.parameters())
    expected = torch.autograd.grad(model(**call, fused_lm_head=True).log_probs.sum(), parameters)
    with logits_beside_fused_head(model):
        found = torch.autograd.grad(model(**call, fused_lm_head=True).log_probs.sum(), parameters)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_passes_without_gradients_beside_it_and_all_after_it_are_trls():
    model, _, call = model_and_call("llama")
    with logits_beside_fused_head(model):
        with torch.no_grad():
            assert "logits" not in model(**call, fused_lm_head=True)
        assert model(**call).logits.shape[:2] == call["input_ids"].shape
    assert "logits" not in model(**call, fused_lm_head=True)


def test_a_model_without_a_fused_head_is_left_alone():
    model = language_model("llama")
    with logits_beside_fused_head(model):
        assert "forward" not in vars(model)
