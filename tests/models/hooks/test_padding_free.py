"""Passes without padding say what padded ones do, at what the tokens alone cost."""

import copy

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoModelForMultipleChoice,
    AutoModelForQuestionAnswering,
    AutoModelForTokenClassification,
)

from alum.core.errors import InputError
from alum.models.hooks.hooked_batch import HookedBatch
from alum.models.hooks.injection import Injection
from alum.models.hooks.padding_free import PaddingFree, rows_without_padding
from alum.models.hooks.sequence_attention import CAUSAL, SUPPORTED
from alum.models.model_parts import CHECKPOINTING
from alum.tasks.kinds.sequence_classification import SEQUENCE_CLASSIFICATION
from tiny_models import ARCHITECTURES, VOCAB_SIZE, classifier, headed, language_model, token_batch

LENGTHS = (9, 20, 6, 3)
WINDOW = 6  # of ModernBERT's local layers: 3 tokens to either side
TINY = [name for name in ARCHITECTURES if name in SUPPORTED]
EXACT = {"rtol": 0, "atol": 0}
CLOSE = {"rtol": 1e-5, "atol": 1e-5}
FREE_AND_PADDED = (True, False)


def settings_of(architecture):
    return {"local_attention": WINDOW} if architecture == "modernbert" else {}


def outputs_and_gradients(model, inputs, free, output="logits"):
    """The outputs, and the gradients that their squares give the weights."""
    model.zero_grad()
    running = PaddingFree(model) if free else None
    found = model(**inputs)[output]
    found.square().sum().backward()
    if running is not None:
        running.remove()
    return found.detach(), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def assert_same(model, inputs):
    (free, of_free), (padded, of_padded) = (outputs_and_gradients(model, inputs, f) for f in FREE_AND_PADDED)
    torch.testing.assert_close(free, padded, **CLOSE)
    assert of_free.keys() == of_padded.keys()
    largest = max(gradient.abs().max() for gradient in of_padded.values())  # some, such as keys' biases, are rounding
    for name, gradient in of_padded.items():
        torch.testing.assert_close(of_free[name] / largest, gradient / largest, **CLOSE)


@pytest.mark.parametrize(
    ("architecture", "side"), [*((name, "right") for name in TINY), *((c, "left") for c in CAUSAL)]
)
def test_every_architecture_gives_the_outputs_and_gradients_of_padded_rows(architecture, side):
    model = classifier(architecture, dropout=0.0, **settings_of(architecture)).train()
    assert_same(model, token_batch(LENGTHS, padding=side))


@pytest.mark.parametrize("architecture", TINY)
def test_language_models_at_the_tokens(architecture):
    inputs = token_batch(LENGTHS)
    tokens = inputs["attention_mask"].bool()
    model = language_model(architecture, dropout=0.0, **settings_of(architecture)).train()
    free, padded = (outputs_and_gradients(model, inputs, f)[0][tokens] for f in FREE_AND_PADDED)
    torch.testing.assert_close(free, padded, **CLOSE)


@pytest.mark.parametrize("auto_class", [AutoModelForTokenClassification, AutoModelForQuestionAnswering])
def test_heads_at_tokens(auto_class):
    inputs = token_batch(LENGTHS)
    output = "start_logits" if auto_class is AutoModelForQuestionAnswering else "logits"
    model = headed(auto_class, dropout=0.0).train()
    free, padded = (outputs_and_gradients(model, inputs, f, output)[0] for f in FREE_AND_PADDED)
    tokens = inputs["attention_mask"].bool()
    torch.testing.assert_close(free[tokens], padded[tokens], **CLOSE)


@pytest.mark.parametrize("architecture", ["bert", "albert", "distilbert"])  # of other poolers
def test_choices_are_rows(architecture):
    inputs = {name: values.view(2, 2, -1) for name, values in token_batch(LENGTHS).items()}
    assert_same(headed(AutoModelForMultipleChoice, architecture, dropout=0.0).train(), inputs)


@pytest.mark.parametrize("architecture", ["bert", "roberta", "gpt2"])
@pytest.mark.parametrize("given", ["token_type_ids", "position_ids"])
def test_what_else_belongs_to_tokens_goes_with_them(architecture, given):
    inputs = token_batch(LENGTHS)
    shape, generator = inputs["input_ids"].shape, torch.Generator().manual_seed(1)
    settings = {"type_vocab_size": 2} if architecture != "gpt2" else {}
    model = classifier(architecture, dropout=0.0, **settings).train()
    if given == "token_type_ids":
        inputs[given] = torch.randint(0, 2, shape, generator=generator)
    else:
        inputs[given] = torch.randint(2, 60, shape, generator=generator)
    assert_same(model, inputs)


@pytest.mark.parametrize("architecture", ["bert", "roberta"])
def test_vectors_instead_of_words(architecture):
    inputs = token_batch(LENGTHS)
    model = classifier(architecture, dropout=0.0).train()
    inputs["inputs_embeds"] = model.get_input_embeddings()(inputs.pop("input_ids")).detach()
    assert_same(model, inputs)


def test_arguments_without_names():
    model, inputs = classifier(dropout=0.0), token_batch(LENGTHS)
    expected = model.base_model(inputs["input_ids"], inputs["attention_mask"]).pooler_output
    PaddingFree(model)
    found = model.base_model(inputs["input_ids"], inputs["attention_mask"]).pooler_output
    torch.testing.assert_close(found, expected, **CLOSE)


@pytest.mark.parametrize("architecture", ["bert", "modernbert", "gpt2"])
def test_gradient_checkpointing(architecture):
    model = classifier(architecture, dropout=0.0, **settings_of(architecture)).train()
    getattr(model, f"{CHECKPOINTING}_enable")()
    assert_same(model, token_batch(LENGTHS))


def test_automatic_mixed_precision():
    model, inputs = classifier(dropout=0.0), token_batch(LENGTHS)
    with torch.autocast("cpu", torch.bfloat16):
        free, padded = (outputs_and_gradients(model, inputs, f)[0] for f in FREE_AND_PADDED)
    torch.testing.assert_close(free, padded, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("architecture", TINY)
def test_no_perturbation_moves_nothing_under_shared_dropout_masks(architecture):
    model, inputs = classifier(architecture, dropout=0.3, **settings_of(architecture)).train(), token_batch(LENGTHS)
    inputs["labels"] = torch.tensor([0, 1, 1, 0])
    PaddingFree(model)
    rows = rows_without_padding(model, inputs)
    batch = HookedBatch(
        model=model,
        injection=Injection(model, packed=rows),
        mask=inputs["attention_mask"].bool(),
        run=lambda: model(**inputs),
        run_with_loss=lambda: (found := model(**inputs), (found.loss, found))[1],
        compared=lambda outputs: outputs.logits,
        distance=SEQUENCE_CLASSIFICATION.distance,
    )
    _, clean, x = batch.clean()
    assert x.shape[:2] == inputs["input_ids"].shape
    again = batch.outputs(torch.zeros_like(x))
    torch.testing.assert_close(again, clean, **CLOSE)
    assert not torch.allclose(batch.outputs_anew(), clean, atol=1e-2)  # the masks do something
    batch.check()


def test_attention_has_its_dropout():
    model, inputs = classifier(dropout=0.0, attention_probs_dropout_prob=0.0), token_batch(LENGTHS)
    for module in model.modules():
        if hasattr(module, "is_causal"):
            module.dropout.p = 0.5
    PaddingFree(model)
    still = model(**inputs).logits
    torch.testing.assert_close(model(**inputs).logits, still, **EXACT)
    model.train()
    assert not torch.allclose(model(**inputs).logits, still, atol=1e-2)


@pytest.mark.parametrize("architecture", TINY)
def test_linear_layers_work_on_tokens_alone(architecture):
    inputs, num_operations = token_batch(LENGTHS), []
    model = classifier(architecture, dropout=0.0)
    linear = {torch.ops.aten.addmm, torch.ops.aten.mm, torch.ops.aten.bmm}
    for free in FREE_AND_PADDED:
        running = PaddingFree(model) if free else None
        with FlopCounterMode(display=False) as counted, torch.no_grad():
            model.base_model(**inputs)
        num_operations.append(sum(n for op, n in counted.get_flop_counts()["Global"].items() if op in linear))
        if running is not None:
            running.remove()
    share = sum(LENGTHS) / (len(LENGTHS) * max(LENGTHS))
    pooler = 2 * len(LENGTHS) * 32 * 32 if getattr(model.base_model, "pooler", None) is not None else 0
    assert (num_operations[0] - pooler) / (num_operations[1] - pooler) == pytest.approx(share, rel=1e-3)


def test_rows_are_where_the_tokens_stand():
    model, inputs = classifier(), token_batch(LENGTHS)
    assert rows_without_padding(model, inputs) is None
    PaddingFree(model)
    rows = rows_without_padding(model, inputs)
    assert rows.mask.equal(inputs["attention_mask"].bool())
    assert rows.together(inputs["input_ids"]).tolist() == [
        [word for row, length in zip(inputs["input_ids"].tolist(), LENGTHS, strict=True) for word in row[:length]]
    ]
    assert rows_without_padding(model, token_batch((5, 5))) is None
    assert rows_without_padding(model, {"input_ids": inputs["input_ids"]}) is None


@pytest.mark.parametrize("lengths", [(5, 5), (1,), (7,)])
def test_without_padding_nothing_changes(lengths):
    model = classifier(dropout=0.0)
    inputs = token_batch(tuple(max(length, 2) for length in lengths))
    expected = model(**inputs).logits
    PaddingFree(model)
    torch.testing.assert_close(model(**inputs).logits, expected, **EXACT)


def test_removed_it_is_as_it_was():
    model, inputs = classifier(dropout=0.0), token_batch(LENGTHS)
    expected, implementation = model(**inputs).logits, model.config._attn_implementation
    running = PaddingFree(model)
    with pytest.raises(InputError, match=r"without padding already: call remove\(\) first"):
        PaddingFree(model)
    running.remove()
    assert model.config._attn_implementation == implementation
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    torch.testing.assert_close(model(**inputs).logits, expected, **EXACT)
    PaddingFree(model)


def test_a_copy_runs_without_padding_by_itself():
    model, inputs = classifier(dropout=0.0), token_batch(LENGTHS)
    running = PaddingFree(model)
    expected, twin = model(**inputs).logits, copy.deepcopy(model)
    running.remove()
    torch.testing.assert_close(twin(**inputs).logits, expected, **EXACT)
    assert rows_without_padding(twin, inputs) is not None


def test_text_is_generated_as_ever():
    model, inputs = language_model("llama", dropout=0.0), token_batch(LENGTHS, padding="left")
    expected = model.generate(**inputs, max_new_tokens=5, do_sample=False)
    PaddingFree(model)
    assert model.generate(**inputs, max_new_tokens=5, do_sample=False).equal(expected)
    assert expected.max() < VOCAB_SIZE


# -- what cannot -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", [name for name in ARCHITECTURES if name not in SUPPORTED])
def test_other_architectures_are_refused(architecture):
    with pytest.raises(InputError, match=rf"\(padding_free\) in a model of type {architecture}: it can in albert"):
        PaddingFree(classifier(architecture))


def test_other_ways_to_compute_attention_are_refused():
    model = classifier()
    model.config._attn_implementation = "flash_attention_2"
    with pytest.raises(InputError, match="attn_implementation='flash_attention_2': choose 'sdpa' or 'eager'"):
        PaddingFree(model)


def test_hidden_states_of_all_layers_are_refused():
    with pytest.raises(InputError, match="leave output_hidden_states out"):
        PaddingFree(classifier(output_hidden_states=True))


def test_masks_of_another_form_are_refused():
    model, inputs = classifier(), token_batch(LENGTHS)
    PaddingFree(model)
    inputs["attention_mask"] = inputs["attention_mask"][:, None, None].bool()
    with pytest.raises(InputError, match=r"\[batch, length\], not \[4, 1, 1, 20\]"):
        model(**inputs)


def test_padding_on_the_left_of_encoders_is_refused():
    model = classifier()
    PaddingFree(model)
    with pytest.raises(InputError, match="padding on the right: heads read the first token"):
        model(**token_batch(LENGTHS, padding="left"))
