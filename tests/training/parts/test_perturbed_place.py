"""Models and batches in which vectors stand elsewhere than usual: δ moves the batch's tokens, or is refused in words.

Where it works, an adversary of no radius trains as there is none: each gradient is there once.
"""

import pytest
import torch
from transformers import AutoModelForCausalLM, MixtralConfig, Trainer

from alum.core.errors import InputError
from alum.models.model_parts import word_embeddings
from alum.tasks.kinds.language_modeling import CAUSAL_LM
from alum.training.step import AlumStep
from alum.training.trainer import AlumTrainer
from tiny_models import CAUSAL, PAD, VOCAB_SIZE, classifier, language_model
from tiny_runs import config, labelled_sentences, logged, measuring_config, plain_config, trained, weights

peft = pytest.importorskip("peft")


def mixture():
    """A mixture of experts whose loss has a part of its routers."""
    settings = MixtralConfig(
        vocab_size=VOCAB_SIZE, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, num_local_experts=4, max_position_embeddings=64, pad_token_id=PAD,
        output_router_logits=True, router_aux_loss_coef=0.5,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(settings)


def adapted(model, settings):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return peft.get_peft_model(model, settings)


def prompt_tuned(architecture):
    causal = architecture in CAUSAL
    model = (language_model if causal else classifier)(architecture, dropout=0.0)
    return adapted(model, peft.PromptTuningConfig(task_type="CAUSAL_LM" if causal else "SEQ_CLS", num_virtual_tokens=3))


def saved(name):
    settings = peft.LoraConfig(task_type="SEQ_CLS", r=4, target_modules=["query"], modules_to_save=[name])
    return adapted(classifier("bert", dropout=0.0), settings)


def gpt2():
    return language_model("gpt2", dropout=0.0)


def sentences(**further):
    """Rows of a causal language model, which learns the second half of each."""
    generator = torch.Generator().manual_seed(0)
    rows = []
    for _ in range(8):
        ids = torch.randint(4, VOCAB_SIZE, (8,), generator=generator)
        labels = torch.where(torch.arange(8) < 4, -100, ids)
        rows.append({"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels, **further})
    return rows


def with_types():
    return sentences(token_type_ids=torch.tensor([1] * 4 + [2] * 4))


def vectors(masked=True):
    generator = torch.Generator().manual_seed(1)
    rows = [{**row, "inputs_embeds": torch.randn(8, 32, generator=generator)} for row in sentences()]
    left_out = {"input_ids"} if masked else {"input_ids", "attention_mask"}
    return [{name: value for name, value in row.items() if name not in left_out} for row in rows]


def vectors_alone():
    return vectors(masked=False)


WORKING = [
    *((mixture, sentences, method, "word") for method in ("alum", "alum_one_pass", "alum_virtual", "fgm")),
    *((mixture, sentences, method, "1") for method in ("alum", "alum_virtual")),
    (mixture, sentences, "alum_one_pass", "0"),
    (mixture, sentences, "alum_one_pass", "word,1"),
    *(
        (lambda name=name: prompt_tuned(name), labelled_sentences if name == "bert" else sentences, method, "word")
        for name in ("gpt2", "llama", "bert")
        for method in ("alum", "alum_one_pass")
    ),
    *(
        (lambda name=name: saved(name), labelled_sentences, "alum_one_pass", layer)
        for name in ("embeddings", "word_embeddings")
        for layer in ("word", "embeddings", "1")
    ),
    *((gpt2, with_types, "alum_one_pass", layer) for layer in ("embeddings", "1")),
    *((gpt2, rows, "alum_one_pass", layer) for rows in (vectors, vectors_alone) for layer in ("embeddings", "1")),
]


@pytest.mark.quick_cases(10)
@pytest.mark.parametrize(("model", "rows", "method", "layer"), WORKING)
def test_an_adversary_is_found_and_one_of_no_radius_changes_nothing(tmp_path, model, rows, method, layer):
    settings = {"adv_method": method, "adv_layer": layer}
    trainer = trained(model(), measuring_config(tmp_path, **settings, max_steps=1), rows())
    assert min(logged(trainer, "adversarial_gain")) > 1
    assert min(logged(trainer, "adversarial_loss")) > 0
    if method == "fgm":  # whose term is a second task loss
        return
    none = trained(model(), measuring_config(tmp_path, **settings, adv_epsilon=1e-9, max_steps=1), rows())
    standard = trained(model(), measuring_config(tmp_path, adv_method="standard", max_steps=1), rows())
    torch.testing.assert_close(weights(none), weights(standard), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_prompt_tuning_without_an_adversary_is_the_trainers(tmp_path, architecture):
    ours = trained(prompt_tuned(architecture), config(tmp_path, adv_method="standard"), sentences())
    plain = trained(prompt_tuned(architecture), plain_config(tmp_path), sentences(), Trainer)
    torch.testing.assert_close(weights(ours), weights(plain))
    assert logged(ours, "loss") == pytest.approx(logged(plain, "loss"), rel=1e-5)


def test_virtual_tokens_are_left_out_of_the_divergence():
    labels = torch.tensor([[-100, 5, 6], [-100, -100, 7]])
    logits = torch.randn(2, 3, 9)
    virtual = torch.cat((torch.randn(2, 4, 9), logits), dim=1)
    found = CAUSAL_LM.compared({"logits": virtual}, {"labels": labels})
    assert torch.equal(found, torch.stack((logits[0, 0], logits[0, 1], logits[1, 1])))


@pytest.mark.parametrize("name", ["embeddings", "word_embeddings"])
def test_the_module_that_peft_trains_is_the_one_that_runs(name):
    model, calls = saved(name), []
    word_embeddings(model).register_forward_hook(lambda *_: calls.append(1))
    model(input_ids=torch.tensor([[4, 5]]))
    assert calls == [1]


@pytest.mark.parametrize(
    ("model", "method", "layer", "message"),
    [
        (mixture, "alum_one_pass", "1", "with output_router_logits the loss of MixtralForCausalLM .* below block 1"),
        (mixture, "pgd", "1", "choose|Choose the layer 'word', a method with passes of its own"),
        (lambda: prompt_tuned("gpt2"), "alum", "embeddings", "puts 3 virtual tokens .* at layer 'embeddings'"),
        (lambda: prompt_tuned("bert"), "alum_one_pass", "1", "puts 3 virtual tokens .* at layer 1 there are others"),
        (lambda: prompt_tuned("bert"), "alum", "word,1", "at layer 1 there are others .* choose the layer 'word'"),
    ],
)
def test_places_with_other_vectors_are_refused_before_training(tmp_path, model, method, layer, message):
    with pytest.raises(InputError, match=message):
        AlumTrainer(model=model(), args=config(tmp_path, adv_method=method, adv_layer=layer), train_dataset=sentences())
    places = tuple(int(place) if place.isdigit() else place for place in layer.split(","))
    with pytest.raises(InputError, match=message):
        AlumStep(model(), method, layer=places if len(places) > 1 else places[0])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (with_types, "GPT2LMHeadModel looks token_type_ids up in the table of words.*leave them out of the batch"),
        (vectors, "inputs_embeds in the place of input_ids.*give input_ids, or choose the layer 'embeddings'"),
    ],
)
@pytest.mark.parametrize("method", ["alum", "alum_one_pass"])
def test_words_that_are_not_looked_up_alone_are_refused_at_the_first_batch(tmp_path, rows, message, method):
    model = gpt2()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(InputError, match=message):
        trained(model, config(tmp_path, adv_method=method), rows())
    batch = {name: torch.stack([row[name] for row in rows()]) for name in rows()[0]}
    with pytest.raises(InputError, match=message):
        AlumStep(model, method)(batch)
    torch.testing.assert_close(dict(model.state_dict()), before)
