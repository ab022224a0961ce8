import dataclasses
import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    BertForMaskedLM,
    BertForSequenceClassification,
    XLNetConfig,
)
from transformers.utils import logging

from alum.core.errors import InputError
from alum.models.checkpoint import Checkpoint
from own_code import MODELING, save_with_own_code
from tiny_models import ARCHITECTURES, config_of, language_model
from tiny_stages import LENGTH_TOKENS, save_untrained

CLASSIFIER = {"classifier.weight", "classifier.bias"}


@pytest.fixture
def folder(tmp_path):
    return save_untrained(tmp_path / "model")


@pytest.fixture
def checkpoint(folder):
    return Checkpoint(str(folder))


@pytest.fixture
def own(tmp_path):
    return str(save_with_own_code(tmp_path / "own"))


# -- what is read ------------------------------------------------------------------------------------------------------


def test_configuration_and_tokenizer_are_read_once(checkpoint, folder):
    config, tokenizer = checkpoint.config, checkpoint.tokenizer
    shutil.rmtree(folder)
    assert checkpoint.config is config
    assert checkpoint.tokenizer is tokenizer
    assert checkpoint.input_length_tokens(None, 1000) == LENGTH_TOKENS
    with pytest.raises(InputError, match="no folder at"):
        _ = Checkpoint(str(folder)).config


def test_a_checkpoint_is_a_value(checkpoint, folder):
    _ = checkpoint.config
    assert checkpoint == Checkpoint(str(folder))
    assert hash(checkpoint) == hash(Checkpoint(str(folder)))
    assert checkpoint != Checkpoint(str(folder), trust_remote_code=True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        checkpoint.trust_remote_code = True


def test_a_new_head_is_made_and_told(checkpoint, folder):
    model, new_weights = checkpoint.model_and_new_weights(AutoModelForSequenceClassification, num_labels=5)
    assert new_weights == CLASSIFIER | {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
    assert model.config.num_labels == 5
    assert "num_labels" not in checkpoint.config.to_diff_dict()
    assert type(checkpoint.model(AutoModel)).__name__ == "BertModel"
    saved = BertForMaskedLM.from_pretrained(folder).bert.embeddings.word_embeddings.weight
    assert torch.equal(model.bert.embeddings.word_embeddings.weight, saved)


def test_a_trained_model_has_all_its_weights(checkpoint):
    assert isinstance(checkpoint.trained_model(AutoModelForMaskedLM), BertForMaskedLM)
    with pytest.raises(InputError, match=r"has not been fine-tuned: it lacks bert\.pooler.*classifier\.weight"):
        checkpoint.trained_model(AutoModelForSequenceClassification)


def test_the_loss_of_a_causal_model_is_named(tmp_path):
    language_model("gpt2").save_pretrained(tmp_path)
    assert Checkpoint(str(tmp_path)).model(AutoModelForCausalLM).loss_type == "ForCausalLM"


@pytest.mark.parametrize("load", [Checkpoint.model, Checkpoint.trained_model])
def test_a_masked_language_model_is_no_causal_one(checkpoint, load):
    """Its weights would all be there, and it would see what it is to predict."""
    with pytest.raises(InputError, match="is no causal language model: a bert reads what follows, too"):
        load(checkpoint, AutoModelForCausalLM)


def test_loading_says_nothing_of_new_weights_and_leaves_the_log_level(checkpoint, folder, capfd):
    before = logging.get_verbosity()
    logging.set_verbosity_info()
    try:
        checkpoint.model(AutoModelForSequenceClassification)
        assert "classifier" not in capfd.readouterr().err
        (folder / "model.safetensors").unlink()
        with pytest.raises(InputError):
            checkpoint.model(AutoModel)
        assert logging.get_verbosity() == logging.INFO
    finally:
        logging.set_verbosity(before)


# -- length ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "default", "expected"), [(None, 1000, 16), (None, 9, 9), (12, 9, 12), (16, 9, 16)])
def test_length_is_what_was_asked_for_else_the_default_as_far_as_there_are_positions(
    asked, default, expected, checkpoint
):
    assert checkpoint.input_length_tokens(asked, default) == expected


def test_more_than_the_positions_is_refused(checkpoint):
    with pytest.raises(InputError, match=r"max_seq_length 17 is more than the 16 positions of .*model"):
        checkpoint.input_length_tokens(17, 9)


@pytest.mark.parametrize(
    ("architecture", "positions"),
    [
        ("bert", 64),
        ("gpt2", 64),
        ("roberta", 63),
        ("mpnet", 63),
        ("t5", 1000),
        ("xlnet", 1000),
    ],  # padding has the first one of two
)
def test_positions_are_those_that_texts_can_have(architecture, positions, tmp_path):
    config = XLNetConfig(d_model=8, n_layer=1, n_head=2) if architecture == "xlnet" else config_of(architecture)
    config.save_pretrained(tmp_path)
    assert Checkpoint(str(tmp_path)).input_length_tokens(None, 1000) == positions


# -- what cannot be loaded ---------------------------------------------------------------------------------------------


def everything(name_or_path):
    checkpoint = Checkpoint(str(name_or_path))
    return (lambda: checkpoint.config, lambda: checkpoint.tokenizer, lambda: checkpoint.model(AutoModel))


def refused(message, *reads):
    for read in reads:
        with pytest.raises(InputError, match=message):
            read()


def test_a_path_that_leads_nowhere(tmp_path):
    refused("no folder at .*nowhere: expected a model's folder or the id", *everything(tmp_path / "nowhere"))


def test_a_file(folder):
    refused("config.json is a file: expected a model's folder", *everything(folder / "config.json"))


def test_a_folder_of_something_else(tmp_path):
    refused("holds no model: expected a folder with config.json, model.safetensors", *everything(tmp_path))


def test_a_name_that_is_nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for what, read in zip(("model", "tokenizer", "model"), everything("no-such-model"), strict=True):
        expected = (
            f"no {what} can be loaded from no-such-model: there is no folder of that name in .*, and of the hub's"
        )
        refused(expected, read)


def test_a_tokenizer_alone_is_no_model(folder):
    (folder / "config.json").unlink()
    config, tokenizer, model = everything(folder)
    assert len(tokenizer()) > 50
    refused("holds no model", config, model)


def test_a_model_without_its_tokenizer(checkpoint, folder):
    for file in folder.glob("tokenizer*"):
        file.unlink()
    refused("holds no tokenizer: .*--tokenizer_name", lambda: checkpoint.tokenizer)


@pytest.mark.parametrize("names", ["float99", [], ["attention_mask"], None, 5])
def test_a_tokenizer_that_writes_no_ids(checkpoint, folder, names):
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "model_input_names": names}))
    refused("expected a list with input_ids|no tokenizer can be loaded", lambda: checkpoint.tokenizer)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"dtype": -0.5}, "names -0.5 as its dtype: expected 'float32'"),
        ({"text_config": {}}, "has a part for texts .* that a bert does not have"),
        ({"text_config": 5}, "has a part for texts"),
        ({"decoder": "x"}, "has a part for texts"),
    ],
)
def test_values_of_a_configuration_that_are_of_another_type(checkpoint, folder, wrong, words):
    named_in(folder, "config.json", wrong)
    refused(words, lambda: checkpoint.config)


def test_pickled_weights(checkpoint, folder):
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    refused("pickled weights, which can run code and are not loaded", lambda: checkpoint.model(AutoModel))


def named_in(folder, name, value):
    path = folder / name
    path.write_text(json.dumps({**(json.loads(path.read_text()) if path.exists() else {}), **value}))


INDEX = "model.safetensors.index.json"
PICKLES = {
    "a shard": (INDEX, {"weight_map": {"bert.a": "pytorch_model.bin"}}, f"the {INDEX} of .* names 'pytorch_model.bin'"),
    "a shard elsewhere": (INDEX, {"weight_map": {"bert.a": "../x.safetensors"}}, f"{INDEX} of .* names '../x.safetens"),
    "the weights": ("config.json", {"transformers_weights": "adapter_model.bin"}, "config.json of .* names 'adapter_m"),
    "an adapter": ("adapter_config.json", {"peft_type": "LORA"}, "holds an adapter .*merge_and_unload"),
}


@pytest.mark.parametrize("what", PICKLES)
def test_pickles_that_are_named_are_never_opened(what, checkpoint, folder):
    file, value, message = PICKLES[what]
    (folder / "model.safetensors").rename(folder / "elsewhere.safetensors")
    for name in ("pytorch_model.bin", "adapter_model.bin"):
        (folder / name).mkdir()  # which could not be read as a file
    named_in(folder, file, value)
    refused(message, lambda: checkpoint.model(AutoModel), lambda: checkpoint.trained_model(AutoModelForMaskedLM))


def test_pickles_beside_the_weights_are_left_alone(checkpoint, folder):
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04")
    named_in(folder, "pytorch_model.bin.index.json", {"weight_map": {"a": "pytorch_model.bin"}})
    checkpoint.trained_model(AutoModelForMaskedLM)


def test_weights_in_shards_are_loaded(checkpoint, folder):
    model = BertForMaskedLM.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="10KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    assert checkpoint.trained_model(AutoModelForMaskedLM).state_dict().keys() == model.state_dict().keys()


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
def test_kernels_of_the_hub_are_not_fetched(key, checkpoint, folder):
    named_in(folder, "config.json", {key: "kernels-community/flash-attn"})
    refused("asks for the kernel 'kernels-community/flash-attn'", lambda: checkpoint.model(AutoModel))


def test_weights_that_were_cut_short(checkpoint, folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    refused("no model can be loaded from", lambda: checkpoint.model(AutoModel))


# -- code of its own ---------------------------------------------------------------------------------------------------


def test_code_of_its_own_runs_where_it_is_trusted(own):
    checkpoint = Checkpoint(own, trust_remote_code=True)
    assert type(checkpoint.config).__name__ == "OwnConfig"
    assert type(checkpoint.model(AutoModelForMaskedLM)).__name__ == "OwnForMaskedLM"
    assert checkpoint.model_and_new_weights(AutoModelForSequenceClassification)[1] >= CLASSIFIER
    assert checkpoint.input_length_tokens(None, 1000) == LENGTH_TOKENS


def test_code_of_its_own_is_refused_where_it_is_not_trusted(own):
    config, _, model = everything(own)
    refused(r"own comes with code of its own, .* --trust_remote_code true\.$", config, model)


def test_packages_that_its_code_needs_are_named(tmp_path):
    own = save_with_own_code(tmp_path / "own", modeling=f"import no_such_package\n{MODELING}")
    checkpoint = Checkpoint(str(own), trust_remote_code=True)
    refused("no model can be loaded from .*own: .*no_such_package", lambda: checkpoint.model(AutoModel))


# -- weights that are not there, or not as they should be --------------------------------------------------------------


def configured(folder, **settings):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))


def weights_of(folder, change):
    """Writes the weights of a folder again, as ``change`` makes them of those by name."""
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_in_half_precision_are_trained_in_fp32(dtype, folder, checkpoint):
    """A step of 3e-5 is less than half the distance between bfloat16 numbers around 0.02, which is 2⁻¹³."""
    BertForMaskedLM.from_pretrained(folder).to(dtype).save_pretrained(folder)
    saved = load_file(folder / "model.safetensors")
    assert {weight.dtype for weight in saved.values()} == {dtype}
    model = checkpoint.model(AutoModelForSequenceClassification)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    name = "bert.embeddings.word_embeddings.weight"
    assert torch.equal(model.get_parameter(name), saved[name].float())
    model.save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["dtype"] == "float32"


def test_a_trained_model_is_measured_in_the_precision_that_it_has(folder, checkpoint):
    BertForMaskedLM.from_pretrained(folder).to(torch.bfloat16).save_pretrained(folder)
    assert checkpoint.trained_model(AutoModelForMaskedLM).dtype == torch.bfloat16


DAMAGES = {
    "no weights at all": (lambda folder: weights_of(folder, lambda _: {}), r"\d+ are missing, such as bert\."),
    "eight of them missing": (
        lambda folder: weights_of(folder, lambda held: {k: v for k, v in held.items() if ".layer.1.att" not in k}),
        r"missing, such as bert\.encoder\.layer\.1\.attention",
    ),
    "another architecture": (
        lambda folder: configured(folder, model_type="roberta", architectures=["RobertaModel"]),
        r"RobertaForSequenceClassification: \d+ are missing, such as roberta",
    ),
    "more blocks": (lambda folder: configured(folder, num_hidden_layers=5), "48 are missing, such as .*layer.2"),
    "no block": (lambda folder: configured(folder, num_hidden_layers=0), "has 0 blocks by its config.json"),
    "more than can be": (
        lambda folder: configured(folder, num_hidden_layers=10**20),
        "has 100000000000000000000 blocks by its config.json .*: expected 1 to 10,000",
    ),
    "fewer than none": (lambda folder: configured(folder, num_hidden_layers=-1), "has -1 blocks by its config.json"),
    "another vocabulary": (
        lambda folder: configured(folder, vocab_size=7),
        r"word_embeddings\.weight has \[\d+, 16\] instead of \[7, 16\]",
    ),
    "weights that are no numbers": (
        lambda folder: weights_of(folder, lambda held: {k: v.where(v < 0.01, torch.nan) for k, v in held.items()}),
        "holds weights that are no numbers, such as bert",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_weights_below_the_head_are_never_new(damage, folder):
    make, message = DAMAGES[damage]
    make(folder)
    with pytest.raises(InputError, match=message):
        Checkpoint(str(folder)).model(AutoModelForSequenceClassification)


def test_weights_without_a_place_are_warned_of(folder, checkpoint, caplog):
    checkpoint.model(AutoModelForSequenceClassification)
    assert not caplog.records
    configured(folder, num_hidden_layers=1)
    checkpoint.model(AutoModelForSequenceClassification)
    assert "16 weights of" in caplog.text
    assert "such as bert.encoder.layer.1." in caplog.text


def test_a_head_for_other_labels_is_a_new_one(folder, checkpoint):
    """As from MNLI, of three labels, to RTE, of two."""
    three = BertForSequenceClassification.from_pretrained(folder, num_labels=3)
    three.save_pretrained(folder)
    model, new_weights = checkpoint.model_and_new_weights(AutoModelForSequenceClassification, num_labels=2)
    assert new_weights == CLASSIFIER
    assert model.classifier.weight.shape == (2, 16)
    assert torch.equal(model.bert.pooler.dense.weight, three.bert.pooler.dense.weight)
    configured(folder, id2label={0: "a", 1: "b"}, label2id={"a": 0, "b": 1})
    with pytest.raises(InputError, match=r"has not been fine-tuned: it lacks classifier\.bias, classifier\.weight"):
        Checkpoint(str(folder)).trained_model(AutoModelForSequenceClassification)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_model_without_a_head_for_the_task_gets_one_whatever_its_architecture(architecture, tmp_path):
    AutoModel.from_config(config_of(architecture)).save_pretrained(tmp_path)
    Checkpoint(str(tmp_path)).model(AutoModelForSequenceClassification, num_labels=2)


@pytest.mark.parametrize("name", ["-1", "a b", "x/y/z"])
def test_a_name_that_can_be_no_id_is_refused_whatever_is_loaded_first(name):
    for load in (Checkpoint.trained_model, Checkpoint.model):
        with pytest.raises(InputError, match="no model can be loaded from"):
            load(Checkpoint(name), AutoModelForSequenceClassification)
