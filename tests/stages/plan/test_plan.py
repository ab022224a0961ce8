import dataclasses
import functools
import json

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertForSequenceClassification, GPT2Config, GPT2LMHeadModel, RobertaConfig

import tiny_models
from alum.cli.main import main
from alum.core.errors import InputError
from alum.core.methods import METHODS, method_named
from alum.models.model_parts import CHECKPOINTING
from alum.stages.plan.arguments import PlanArguments
from alum.stages.plan.dry_passes import BatchShape, pass_costs
from alum.stages.plan.memory import memory_of
from alum.stages.plan.run import plan, step_flops
from alum.training.step import AlumStep
from benchmarks.harness import PeakMemory

ROWS, LENGTH = 2, 12


def batch_of(num_rows=ROWS, length=LENGTH, vocab_size=tiny_models.VOCAB_SIZE, per_token=False):
    ids = torch.randint(tiny_models.MASK + 1, vocab_size, (num_rows, length))
    labels = ids.clone() if per_token else torch.arange(num_rows) % 2
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


@functools.cache
def costs_of_classifier(architecture, layer="word"):
    """What passes of a tiny model cost, which does not depend on the method."""
    config = tiny_models.classifier(architecture).config
    config._attn_implementation = "eager"  # of which the counter knows every operation
    return pass_costs(config, BatchShape("sequence_classification", ROWS, LENGTH, layer, "fp32", False))


@functools.cache
def costs_of_wide_classifier(num_rows):
    config = BertConfig(vocab_size=2000, **WIDE)
    return pass_costs(config, BatchShape("sequence_classification", num_rows, 64, "word", "fp32", False))


def counted(model, method, batch, **settings):
    """FLOPs of a step, after one in which it is checked that the perturbation is heard."""
    step = AlumStep(model.train(), method, **settings)
    step(batch)
    with FlopCounterMode(display=False) as counter:
        step(batch)
    return counter.get_total_flops()


# -- FLOPs -------------------------------------------------------------------------------------------------------------


@pytest.mark.quick_cases(10)
@pytest.mark.parametrize("architecture", [name for name in tiny_models.ARCHITECTURES if name not in ("t5", "bart")])
@pytest.mark.parametrize("method", ["alum", "alum_one_pass"])
def test_operations_of_architectures_are_those_that_are_counted(architecture, method):
    model = tiny_models.classifier(architecture)
    model.config._attn_implementation = "eager"
    expected = counted(model, method, batch_of())
    assert step_flops(METHODS[method], costs_of_classifier(architecture)) == pytest.approx(expected, rel=0.02)


SETTINGS = [
    *((name, {}) for name in METHODS if name != "adv_softmax"),
    ("alum", {"num_steps": 3}),
    ("alum", {"clean_side": "first"}),
    ("alum", {"dropout": "off"}),
    ("alum_virtual", {"clean_side": "first"}),
    ("alum_one_pass", {"layer": 1}),
    ("alum", {"clean_side": "constant", "layer": 1}),
]


@pytest.mark.quick_cases(8)
@pytest.mark.parametrize(("name", "settings"), SETTINGS)
def test_operations_of_methods_are_those_that_are_counted(name, settings):
    model, method = tiny_models.classifier("bert"), method_named(name, **settings)
    model.config._attn_implementation = "eager"
    costs = costs_of_classifier("bert", method.layer)
    step = AlumStep(model.train(), name, **settings)
    step(batch_of())
    step.after_optimizer_step()
    with FlopCounterMode(display=False) as counter:
        step(batch_of())
    assert step_flops(method, costs) == pytest.approx(counter.get_total_flops(), rel=0.02)


@pytest.mark.parametrize("method", ["standard", "alum_one_pass", "alum", "adv_softmax"])
def test_operations_of_language_models_are_those_that_are_counted(method):
    model = tiny_models.language_model("gpt2")
    costs = pass_costs(model.config, BatchShape("causal_lm", ROWS, LENGTH, "word", "fp32", False))
    batch = batch_of(per_token=True)
    batch["labels"][:, 0] = -100  # all others are predicted; the head sees these alone
    expected = counted(model, method, batch)
    assert step_flops(METHODS[method], costs) == pytest.approx(expected, rel=0.02)


# -- memory ------------------------------------------------------------------------------------------------------------

WIDE = {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 512}


def measured(model, method, batch):
    """The most that a step of training with AdamW holds beside weights and the optimizer's state."""
    step, optimizer = AlumStep(model.train(), method), torch.optim.AdamW(model.parameters(), fused=True)
    with PeakMemory():  # the profiler's first start
        pass

    def train():
        step(batch)
        optimizer.step()
        optimizer.zero_grad()

    train()
    with PeakMemory() as memory:
        train()
    return memory.bytes


@pytest.mark.quick_cases(6)
@pytest.mark.parametrize("method", ["standard", "alum_one_pass", "alum_virtual", "alum", "r_drop", "fgm", "freelb"])
@pytest.mark.parametrize("num_rows", [1, 16])
def test_memory_of_a_classifier_is_what_is_measured(method, num_rows):
    costs, config = costs_of_wide_classifier(num_rows), BertConfig(vocab_size=2000, **WIDE)
    expected = measured(BertForSequenceClassification(config), method, batch_of(num_rows, 64, 2000))
    found = memory_of(METHODS[method], costs, "ddp", num_devices=1, accumulates=False)
    assert found.state == 12 * costs.num_parameters
    assert found.total == pytest.approx(found.state + expected, rel=0.1)


CHECKPOINTED = ("standard", "alum_one_pass", "alum_virtual", "alum", "freelb")


@functools.cache
def costs_of_blocks(num_rows, run_again):
    shape = BatchShape("sequence_classification", num_rows, 64, "word", "fp32", fused_attention=False)
    return pass_costs(BertConfig(vocab_size=2000, **WIDE), dataclasses.replace(shape, checkpointing=run_again))


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize(
    ("method", "num_rows"),
    [
        *((method, 4) for method in CHECKPOINTED),
        *(pytest.param(method, 32, marks=pytest.mark.slow) for method in CHECKPOINTED),
    ],
)
def test_blocks_that_run_again_cost_what_is_counted_and_measured(method, num_rows):
    """With few rows gradients of the weights are the most, with many what the graphs keep."""
    config, batch = BertConfig(vocab_size=2000, **WIDE), batch_of(num_rows, 64, 2000)
    costs = costs_of_blocks(num_rows, run_again=True)
    model = BertForSequenceClassification(config)
    getattr(model, f"{CHECKPOINTING}_enable")({"use_reentrant": False})
    found = memory_of(METHODS[method], costs, "ddp", num_devices=1, accumulates=False)
    assert found.total == pytest.approx(found.state + measured(model, method, batch), rel=0.1)
    assert costs.graph_bytes + costs.recomputed_bytes < costs_of_blocks(num_rows, run_again=False).graph_bytes / 2
    model.config._attn_implementation = "eager"  # of which the counter knows every operation
    assert step_flops(METHODS[method], costs) == pytest.approx(counted(model, method, batch), rel=0.02)


@pytest.mark.parametrize("method", ["standard", "alum_one_pass", "alum_virtual", "alum"])
def test_memory_of_a_language_model_is_what_is_measured(method):
    config = GPT2Config(vocab_size=2000, n_embd=128, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=1)
    costs = pass_costs(config, BatchShape("causal_lm", 8, 64, "word", "fp32", False))
    expected = measured(GPT2LMHeadModel(config), method, batch_of(8, 64, 2000, per_token=True))
    found = memory_of(METHODS[method], costs, "ddp", num_devices=1, accumulates=False)
    assert found.total == pytest.approx(found.state + expected, rel=0.1)


@pytest.mark.parametrize(
    ("strategy", "weights", "gradients", "moments"),
    [("ddp", 1, 2, 1), ("zero1", 1, 1, 1 / 4), ("zero2", 1, 1 / 4, 1 / 4), ("fsdp", 1 / 4, 1 / 4, 1 / 4)],
)
def test_what_is_spread_over_devices_counts_by_shares(strategy, weights, gradients, moments):
    """Weights and gradients of 4 bytes, two moments of 4; DDP has a copy of the gradients to reduce them in."""
    costs = pass_costs(BertConfig(**WIDE), BatchShape("masked_lm", 1, 8, "word", "fp32", True))
    found = memory_of(METHODS["standard"], costs, strategy, num_devices=4, accumulates=True)
    bytes_of_weights = 4 * costs.num_parameters
    assert found.state == pytest.approx(bytes_of_weights * (weights + 2 * moments))
    gathered = 8 * costs.largest_block_parameters if weights < 1 else 0
    outputs = 4.5 * 2 * 30522 * 4  # 15 % of 8 positions, rounded up, which are more than a gradient at a block
    assert found.step == pytest.approx(costs.graph_bytes + outputs + bytes_of_weights * gradients + gathered)


def test_sharded_training_keeps_no_copies_of_weights_in_half_precision():
    """They are gathered in it, and gathered anew for the backward pass."""
    config = BertConfig(**WIDE)
    costs = pass_costs(config, BatchShape("sequence_classification", 32, 64, "word", "bf16", True))
    matrices = [module for module in BertForSequenceClassification(config).modules() if isinstance(module, nn.Linear)]
    copies = 2 * sum(module.weight.numel() for module in matrices)
    sharded = memory_of(METHODS["alum"], costs, "fsdp", num_devices=4, accumulates=False)
    whole = memory_of(METHODS["alum"], costs, "zero2", num_devices=4, accumulates=False)
    assert whole.step - sharded.step == 2 * copies - 8 * costs.largest_block_parameters


# -- plan --------------------------------------------------------------------------------------------------------------


def test_a_plan_is_of_all_tokens(tmp_path):
    """BERT-base by its published count of weights; six FLOPs a weight and token, less the table, whose use is none."""
    given = {"architecture": "bert-base", "max_seq_length": 128, "num_tokens": 1e9, "methods": ["standard"]}
    one = plan(PlanArguments(**given, output_file=str(tmp_path / "plans" / "plan.json")))
    assert one.num_parameters == pytest.approx(109.5e6, rel=0.01)
    body = 12 * (12 * 768**2 + 2 * 128 * 768)
    head = 0.15 * (768**2 + 768 * 30522)
    assert one.methods[0].step_flops == pytest.approx(6 * 32 * 128 * (body + head), rel=0.02)
    seconds = 1e9 / (32 * 128) * one.methods[0].step_flops / (0.4 * 989e12)
    assert one.methods[0].hours == pytest.approx(seconds / 3600)
    assert json.loads((tmp_path / "plans" / "plan.json").read_text())["num_parameters"] == one.num_parameters


def test_hours_are_shared_by_devices_and_by_steps_without_the_adversary():
    given = {"architecture": "bert-tiny", "max_seq_length": 128, "num_tokens": 1e9, "methods": ["standard", "alum"]}
    one = plan(PlanArguments(**given))
    half = plan(PlanArguments(**given, adversarial_share=0.5))
    assert half.methods[1].hours == pytest.approx((one.methods[0].hours + one.methods[1].hours) / 2)
    eight = plan(PlanArguments(**given, num_devices=8, gradient_accumulation_steps=2))
    assert eight.tokens_per_step == 16 * one.tokens_per_step
    for few, many in zip(one.methods, eight.methods, strict=True):
        assert many.hours == pytest.approx(few.hours / 8)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(("architecture", "millions"), [("roberta-base", 125), ("gpt2-base", 124)])
def test_a_vocabulary_is_the_published_one_by_default(architecture, millions):
    """Weights as Liu et al. 2019 (arXiv:1907.11692) and the GPT-2 repository give them."""
    given = {"architecture": architecture, "methods": ["standard"], "per_device_train_batch_size": 1}
    assert plan(PlanArguments(**given, max_seq_length=512)).num_parameters == pytest.approx(millions * 1e6, rel=0.01)


def test_a_vocabulary_that_is_given_is_taken():
    given = {"architecture": "bert-tiny", "methods": ["standard"], "per_device_train_batch_size": 1}
    small, large = (plan(PlanArguments(**given, vocab_size=size)) for size in (1000, 1001))
    assert large.num_parameters - small.num_parameters == 128 + 1  # a word's vector and the bias of its logit


def test_what_does_not_fit_is_said(capsys):
    argv = ["plan", "--architecture", "gpt2-tiny", "--device", "t4", "--max_seq_length", "512"]
    main([*argv, "--per_device_train_batch_size", "256", "--methods", "standard", "alum"])
    out = capsys.readouterr().out
    assert "! More than the 16 GB of the device: standard, alum." in out


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "expected a model to plan for"),
        ({"architecture": "bert-tiny", "model_name_or_path": "x"}, "one of them"),
        ({"architecture": "bert-tny"}, "bert-tiny"),
        ({"model_name_or_path": "x", "vocab_size": 9}, "vocab_size is for an architecture"),
        ({"architecture": "bert-tiny", "device": "h10"}, "h100"),
        ({"architecture": "bert-tiny", "methods": ["alm"]}, "alum"),
        ({"architecture": "bert-tiny", "head": "causal_lm"}, "a bert has no head 'causal_lm': choose masked_lm or"),
        ({"architecture": "bert-tiny", "utilisation": 40.0}, r"utilisation must lie in \(0, 1\], not 40"),
        ({"architecture": "bert-tiny", "vocab_size": 10**9}, "vocab_size must be 2,000,000 or less"),
        ({"architecture": "bert-tiny", "num_devices": 0}, "num_devices must be 1 or more"),
        ({"architecture": "bert-tiny", "num_devices": 2, "strategy": "zero3"}, "'alum_one_pass' does not train with"),
        ({"architecture": "bert-tiny", "num_devices": 2, "strategy": "fsdp", "methods": ["smart"]}, "choose 'ddp'"),
    ],
)
def test_what_cannot_be_planned_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        plan(PlanArguments(**settings))


def test_positions_that_a_model_does_not_give_to_words_are_not_planned(tmp_path):
    """RoBERTa counts positions from its padding token on."""
    RobertaConfig(**WIDE, max_position_embeddings=514, pad_token_id=1).save_pretrained(tmp_path)
    given = {"model_name_or_path": str(tmp_path), "methods": ["standard"], "per_device_train_batch_size": 1}
    assert plan(PlanArguments(**given, max_seq_length=512)).tokens_per_step == 512
    with pytest.raises(InputError, match="513"):
        plan(PlanArguments(**given, max_seq_length=513))


def test_a_length_by_default_gives_way_to_the_model(tmp_path):
    BertConfig(**WIDE, max_position_embeddings=16).save_pretrained(tmp_path)
    of_the_model = PlanArguments(model_name_or_path=str(tmp_path), per_device_train_batch_size=2)
    assert plan(of_the_model).tokens_per_step == 2 * 16
    assert plan(PlanArguments(architecture="bert-tiny", per_device_train_batch_size=2)).tokens_per_step == 2 * 128
