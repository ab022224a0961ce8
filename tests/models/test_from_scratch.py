import copy
import logging

import pytest
import torch
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForPreTraining,
    PreTrainedTokenizerFast,
)

from alum.core.errors import InputError
from alum.data.pretraining.tokenizer import train_tokenizer
from alum.models.checkpoint import Checkpoint, name_causal_loss
from alum.models.from_scratch import ARCHITECTURES, config_from_scratch, objective_of, tokenizer_kind_of
from alum.models.tokenization import Tokenization

TEXTS = ["the cat sees the dog", "the dog likes the cat"]
HEADS = {"masked_lm": AutoModelForMaskedLM, "causal_lm": AutoModelForCausalLM}


def tokenizer_for(architecture: str, kind: str | None = None) -> PreTrainedTokenizerFast:
    kind = kind or tokenizer_kind_of(architecture)
    return train_tokenizer(TEXTS, kind, objective_of(architecture), 300, 32)


def language_model(architecture: str, length: int, kind: str | None = None):
    config = config_from_scratch(architecture, Tokenization(tokenizer_for(architecture, kind), length))
    return HEADS[objective_of(architecture)].from_config(config).eval()


def num_parameters(auto_class, architecture: str, vocab_size: int, length: int) -> int:
    config = config_from_scratch(architecture, Tokenization(tokenizer_for(architecture), length))
    config.vocab_size = vocab_size
    with torch.device("meta"):
        return auto_class.from_config(config).num_parameters()


def test_every_family_has_every_size():
    sizes = ("tiny", "mini", "small", "medium", "base", "large")
    assert sorted(ARCHITECTURES) == sorted(
        f"{name}-{size}" for name in ("bert", "roberta", "modernbert", "gpt2") for size in sizes
    )


# -- published sizes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auto_class", "architecture", "vocab_size", "length", "published"),
    [
        # of the checkpoints on the hub, weights that are shared counted once
        (AutoModel, "bert-base", 30522, 512, 109_482_240),
        (AutoModelForMaskedLM, "bert-base", 30522, 512, 109_514_298),
        (AutoModel, "bert-large", 30522, 512, 335_141_888),
        (AutoModel, "roberta-base", 50265, 512, 124_645_632),
        (AutoModelForMaskedLM, "roberta-base", 50265, 512, 124_697_433),
        (AutoModel, "roberta-large", 50265, 512, 355_359_744),
        (AutoModelForCausalLM, "gpt2-base", 50257, 1024, 124_439_808),
        (AutoModelForCausalLM, "gpt2-medium", 50257, 1024, 354_823_168),
        (AutoModelForCausalLM, "gpt2-large", 50257, 1024, 774_030_080),
    ],
)
def test_parameters_are_as_many_as_the_checkpoints_have(auto_class, architecture, vocab_size, length, published):
    assert num_parameters(auto_class, architecture, vocab_size, length) == published


@pytest.mark.parametrize(
    ("auto_class", "architecture", "vocab_size", "published_millions", "decimals"),
    [
        # Turc et al. 2019: with both heads of pre-training
        (AutoModelForPreTraining, "bert-tiny", 30522, 4.4, 1),
        (AutoModelForPreTraining, "bert-mini", 30522, 11.3, 1),
        (AutoModelForPreTraining, "bert-small", 30522, 29.1, 1),
        (AutoModelForPreTraining, "bert-medium", 30522, 41.7, 1),
        (AutoModelForPreTraining, "bert-base", 30522, 110.1, 1),
        # Warner et al. 2024: without the head
        (AutoModel, "modernbert-base", 50368, 149, 0),
        (AutoModel, "modernbert-large", 50368, 395, 0),
    ],
)
def test_parameters_are_as_many_as_the_papers_say(auto_class, architecture, vocab_size, published_millions, decimals):
    millions = num_parameters(auto_class, architecture, vocab_size, 512) / 1e6
    assert round(millions, decimals) == published_millions


@pytest.mark.parametrize(
    ("architecture", "dropout_rates"),
    [
        ("bert-tiny", {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}),
        ("roberta-tiny", {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}),
        ("modernbert-tiny", {"embedding_dropout": 0, "attention_dropout": 0, "mlp_dropout": 0}),
        ("gpt2-tiny", {"embd_pdrop": 0.1, "attn_pdrop": 0.1, "resid_pdrop": 0.1}),
    ],
)
def test_dropout_is_the_published_one(architecture, dropout_rates):
    config = config_from_scratch(architecture, Tokenization(tokenizer_for(architecture), 16))
    assert {name: getattr(config, name) for name in dropout_rates} == dropout_rates


def test_heads_are_64_wide_and_modernbert_looks_at_everything_in_every_third_layer():
    for architecture in ARCHITECTURES:
        config = config_from_scratch(architecture, Tokenization(tokenizer_for(architecture), 16))
        assert config.hidden_size == 64 * config.num_attention_heads
    config = config_from_scratch("modernbert-base", Tokenization(tokenizer_for("modernbert-base"), 16))
    assert [i for i, kind in enumerate(config.layer_types) if kind == "full_attention"] == [0, 3, 6, 9, 12, 15, 18, 21]


# -- tokens and positions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["bert-tiny", "roberta-tiny", "modernbert-tiny", "gpt2-tiny"])
def test_the_vocabulary_and_the_special_tokens_are_the_tokenizers(architecture):
    tokenizer = tokenizer_for(architecture)
    config = config_from_scratch(architecture, Tokenization(tokenizer, 16))
    model = language_model(architecture, 16)
    assert config.vocab_size == len(tokenizer) == model.get_input_embeddings().num_embeddings
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert config.pad_token_id == tokenizer.pad_token_id is not None
    for name in ("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"):
        if getattr(config, name, None) is not None:
            assert getattr(config, name) == getattr(tokenizer, name)
    if architecture != "bert-tiny":  # BERT's configuration was published without them
        assert None not in (config.bos_token_id, config.eos_token_id)


def test_begin_and_end_are_cls_and_sep_where_the_tokenizer_has_no_others():
    for architecture in ("roberta-tiny", "modernbert-tiny"):
        tokenizer = tokenizer_for(architecture, "wordpiece")
        config = config_from_scratch(architecture, Tokenization(tokenizer, 16))
        assert (config.bos_token_id, config.eos_token_id) == (tokenizer.cls_token_id, tokenizer.sep_token_id)


@pytest.mark.parametrize("kind", ["wordpiece", "byte_level_bpe"])
@pytest.mark.parametrize("architecture", ["bert-tiny", "roberta-tiny", "modernbert-tiny"])
def test_full_length_runs_with_either_tokenizer_and_pairs_of_texts(architecture, kind):
    model, tokenizer = language_model(architecture, 40, kind), tokenizer_for(architecture, kind)
    inputs = tokenizer("the cat " * 50, "the dog", truncation=True, max_length=40, return_tensors="pt")
    assert inputs["input_ids"].shape == (1, 40)
    assert model(**inputs).logits.shape == (1, 40, len(tokenizer))


def test_the_loss_of_a_causal_model_is_named_and_stays_what_it_was(caplog):
    model = language_model("gpt2-tiny", 16)
    unnamed = copy.deepcopy(model)
    name_causal_loss(model)
    ids = torch.randint(5, 100, (2, 8))
    logging.getLogger("transformers").addHandler(caplog.handler)
    with torch.no_grad():
        expected = torch.nn.functional.cross_entropy(model(ids).logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        named = model(ids, labels=ids).loss
        assert "loss_type" not in caplog.text  # transformers says it once a process
        assert unnamed(ids, labels=ids).loss == named
    logging.getLogger("transformers").removeHandler(caplog.handler)
    torch.testing.assert_close(named, expected)


@pytest.mark.parametrize("architecture", ["bert-tiny", "roberta-tiny", "gpt2-tiny"])
def test_positions_are_as_many_as_the_length_and_not_one_more(architecture):
    model = language_model(architecture, 16)
    ids = torch.full((2, 17), tokenizer_for(architecture).convert_tokens_to_ids("a"))
    assert model(ids[:, :16]).logits.isfinite().all()
    with pytest.raises((IndexError, RuntimeError)):
        model(ids)


def test_modernbert_has_no_table_of_positions_and_says_how_long_it_was_trained():
    assert (
        config_from_scratch(
            "modernbert-tiny", Tokenization(tokenizer_for("modernbert-tiny"), 40)
        ).max_position_embeddings
        == 40
    )


@pytest.mark.parametrize("architecture", ["bert-tiny", "roberta-tiny", "modernbert-tiny", "gpt2-tiny"])
def test_a_saved_model_is_as_long_as_it_was_made(architecture, tmp_path):
    config_from_scratch(architecture, Tokenization(tokenizer_for(architecture), 24)).save_pretrained(tmp_path)
    assert Checkpoint(str(tmp_path)).input_length_tokens(None, 1000) == 24


def test_roberta_needs_a_padding_token():
    tokenizer = tokenizer_for("roberta-tiny")
    tokenizer.pad_token = None
    with pytest.raises(InputError, match="counts positions from its padding token"):
        config_from_scratch("roberta-tiny", Tokenization(tokenizer, 16))


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "objective", "kind"),
    [
        ("bert-mini", "masked_lm", "wordpiece"),
        ("roberta-mini", "masked_lm", "byte_level_bpe"),
        ("modernbert-mini", "masked_lm", "byte_level_bpe"),
        ("gpt2-mini", "causal_lm", "byte_level_bpe"),
    ],
)
def test_what_a_family_is_trained_with(architecture, objective, kind):
    assert (objective_of(architecture), tokenizer_kind_of(architecture)) == (objective, kind)


@pytest.mark.parametrize(
    "ask",
    [
        lambda name: config_from_scratch(name, Tokenization(tokenizer_for("bert-tiny"), 16)),
        objective_of,
        tokenizer_kind_of,
    ],
)
def test_an_unknown_architecture_suggests_the_nearest(ask):
    with pytest.raises(InputError, match="Did you mean 'bert-tiny'"):
        ask("bert_tiny")
