"""Averages of weights against the recursion written out, and passes with them against a model that has them."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from alum.core.errors import InputError
from alum.models.averaged_weights import AveragedWeights
from tiny_models import classifier, language_model, token_batch


def moved(model, factor):
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(factor)


def named(model):
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


@pytest.mark.parametrize("build", [classifier, language_model], ids=["classifier", "tied embeddings"])
def test_a_pass_is_that_of_a_model_with_the_average_for_its_weights(build):
    model, other = build(dropout=0.0), build(dropout=0.0)
    first = named(model)
    average = AveragedWeights(model)
    moved(model, 1.5)
    second = named(model)
    average.follow(0.9)
    moved(model, 0.5)
    average.follow(0.8)
    other.load_state_dict(
        {name: 0.8 * (0.9 * first[name] + 0.1 * second[name]) + 0.2 * 0.5 * second[name] for name in first},
        strict=False,
    )
    before = named(model)
    torch.testing.assert_close(average(**token_batch()).logits, other(**token_batch()).logits, rtol=1e-4, atol=1e-5)
    assert not average(**token_batch()).logits.requires_grad
    torch.testing.assert_close(named(model), before, rtol=0, atol=0)


def test_small_changes_of_half_precision_weights_are_not_rounded_away(tmp_path):
    model = classifier().to(torch.bfloat16)
    average = AveragedWeights(model)
    before = model.classifier.bias.detach().float() + 1.0
    model.classifier.bias.data += 1.0
    for _ in range(1000):
        average.follow(0.999)
    average.save(tmp_path / "average.safetensors")
    kept = load_file(tmp_path / "average.safetensors")["classifier.bias"]
    torch.testing.assert_close(before - kept, torch.full_like(kept, 0.999**1000), rtol=1e-3, atol=1e-5)
    assert average(**token_batch()).logits.dtype == torch.bfloat16


def test_weights_that_are_not_trained_have_no_average_until_they_are(tmp_path):
    model = classifier()
    model.bert.requires_grad_(False)
    average = AveragedWeights(model)
    average.save(tmp_path / "head.safetensors")
    assert set(load_file(tmp_path / "head.safetensors")) == {"classifier.weight", "classifier.bias"}
    model.bert.requires_grad_(True)
    average.follow(0.9)
    average.save(tmp_path / "all.safetensors")
    assert set(load_file(tmp_path / "all.safetensors")) == set(named(model))


def test_it_knows_of_steps_that_it_has_not_followed():
    model = classifier()
    average = AveragedWeights(model)
    assert not average.lags_behind()
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    torch.optim.AdamW(model.parameters()).step()
    assert average.lags_behind()
    average.follow(0.9)
    assert not average.lags_behind()


def test_a_file_brings_the_average_back(tmp_path):
    model = classifier()
    average = AveragedWeights(model)
    moved(model, 2.0)
    average.follow(0.5)
    average.save(tmp_path / "average.safetensors")
    other = AveragedWeights(model)
    other.load(tmp_path / "average.safetensors")
    torch.testing.assert_close(other(**token_batch()).logits, average(**token_batch()).logits, rtol=0, atol=0)


def test_a_damaged_file_and_one_of_another_model_are_refused(tmp_path):
    average = AveragedWeights(classifier())
    path = tmp_path / "average.safetensors"
    path.write_bytes(b"cut short")
    with pytest.raises(InputError, match="cannot be read as averaged weights"):
        average.load(path)
    save_file({"classifier.bias": torch.zeros(7)}, path)
    with pytest.raises(InputError, match=r"classifier.bias \[7\], which do not fit this model"):
        average.load(path)
