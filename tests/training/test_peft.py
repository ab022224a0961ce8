"""Adapters of peft on frozen models: the embeddings get no gradient of their own, and δ is found all the same."""

import numpy as np
import pytest
import torch

from alum.core.methods import METHODS
from alum.models.model_parts import CHECKPOINTING, pretrained_model, word_embeddings
from alum.training.step import AlumStep
from tiny_models import CAUSAL, classifier, language_model
from tiny_runs import config, labelled_sentences, logged, masked_sentences, measuring_config, trained, weights

peft = pytest.importorskip("peft")

ARCHITECTURES = ("bert", "gpt2", "llama")
ADVERSARIES = ("alum", "alum_one_pass", "fgm", "pgd")


def adapted(architecture, dropout=0.0):
    """A classifier, or a causal language model, with LoRA in its attention."""
    causal = architecture in CAUSAL
    model = (language_model if causal else classifier)(architecture, dropout=dropout)
    settings = peft.LoraConfig(
        task_type=peft.TaskType.CAUSAL_LM if causal else peft.TaskType.SEQ_CLS,
        r=4,
        lora_dropout=dropout,
        target_modules={"bert": ["query", "value"], "gpt2": ["c_attn"], "llama": ["q_proj", "v_proj"]}[architecture],
        fan_in_fan_out=architecture == "gpt2",
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return peft.get_peft_model(model, settings)


def rows_for(architecture):
    return masked_sentences() if architecture in CAUSAL else labelled_sentences()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_model_inside_an_adapter(architecture):
    model = adapted(architecture)
    inner = pretrained_model(model)
    assert inner is model.get_base_model()
    assert word_embeddings(model) is inner.get_input_embeddings()
    assert not any(parameter.requires_grad for parameter in word_embeddings(model).parameters())


@pytest.mark.quick_cases(14)
@pytest.mark.parametrize(
    ("name", "architecture"),
    [
        (name, architecture)
        for name, row in METHODS.items()
        for architecture in (CAUSAL if row.is_for_language_models else ARCHITECTURES)
    ],
)
def test_every_method_trains_adapter_and_head_alone(tmp_path, name, architecture):
    model = adapted(architecture)
    before = {key: value.detach().clone() for key, value in model.named_parameters()}
    trainer = trained(model, measuring_config(tmp_path, adv_method=name, max_steps=2), rows_for(architecture))

    assert trainer.kind.name == ("causal_lm" if architecture in CAUSAL else "sequence_classification")
    assert len(logged(trainer, "loss")) == 2
    assert np.isfinite(logged(trainer, "loss")).all()
    changed = {key for key, value in weights(trainer).items() if not torch.equal(value, before[key])}
    assert any("lora_" in key for key in changed)
    assert all("lora_" in key or "modules_to_save" in key for key in changed)
    if name in ADVERSARIES:
        assert min(logged(trainer, "adversarial_gain")) > 1
        assert min(logged(trainer, "adversarial_loss")) > 0


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize("name", ADVERSARIES)
@pytest.mark.parametrize("layer", ["embeddings", "1"])
def test_other_layers_are_perturbed_too(tmp_path, name, layer):
    trainer = trained(
        adapted("bert"), measuring_config(tmp_path, adv_method=name, adv_layer=layer), labelled_sentences()
    )
    assert min(logged(trainer, "adversarial_gain")) > 1


@pytest.mark.parametrize("name", ["alum", "alum_one_pass"])
@pytest.mark.parametrize("architecture", ["bert", "llama"])
def test_gradient_checkpointing_changes_nothing(tmp_path, name, architecture):
    plain, checkpointed = (
        trained(
            adapted(architecture),
            config(tmp_path, adv_method=name, **{CHECKPOINTING: checkpointing}),
            rows_for(architecture),
        )
        for checkpointing in (False, True)
    )
    torch.testing.assert_close(weights(plain), weights(checkpointed))


def test_the_adapters_dropout_is_shared_between_the_passes(tmp_path):
    # With δ as good as zero, different masks alone would keep the passes apart.
    settings = {"adv_method": "alum", "adv_epsilon": 1e-6, "adv_init_std": 0.0}
    trainer = trained(adapted("bert", dropout=0.5), config(tmp_path, **settings), labelled_sentences())
    assert max(logged(trainer, "adversarial_loss")) < 1e-6


def test_a_loop_of_ones_own():
    rows = labelled_sentences(4)
    batch = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
    model = adapted("bert")
    result = AlumStep(model, "alum_one_pass")(batch, num_gain_draws=2)
    assert result.diagnostics.adversarial_gain > 1
    assert {name for name, p in model.named_parameters() if p.grad is not None} == {
        name for name, p in model.named_parameters() if p.requires_grad
    }
