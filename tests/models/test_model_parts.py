import pytest
import torch
from torch import nn

from alum.core.errors import InputError
from alum.models.model_parts import (
    CHECKPOINTING,
    base_transformer,
    block,
    check_layer,
    embeddings_module,
    parse_layer,
    pretrained_model,
    word_embeddings,
)
from tiny_models import ARCHITECTURES, classifier, language_model


class Wrapper(nn.Module):
    """As DistributedDataParallel holds its model."""

    def __init__(self, module):
        super().__init__()
        self.module = module


def test_the_model_inside_wrappers():
    model = classifier()
    assert pretrained_model(model) is model
    assert pretrained_model(Wrapper(model)) is model
    assert pretrained_model(torch.compile(model)) is model
    assert pretrained_model(Wrapper(torch.compile(model))) is model


def test_the_model_without_its_head():
    model = language_model()
    assert base_transformer(model) is model.bert
    plain = nn.Linear(2, 2)
    assert base_transformer(plain) is plain


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_word_embeddings_have_a_row_for_every_token(architecture):
    model = classifier(architecture)
    assert word_embeddings(model).weight.shape[0] == model.config.vocab_size


@pytest.mark.parametrize("architecture", ["t5", "bart"])
def test_an_encoder_decoder_is_perturbed_in_its_encoder(architecture):
    model = classifier(architecture)
    assert word_embeddings(model) is model.get_encoder().get_input_embeddings()


def test_a_model_without_embeddings_is_refused():
    with pytest.raises(InputError, match="Sequential has no input embeddings"):
        word_embeddings(nn.Sequential(nn.Linear(2, 2)))


def test_the_embeddings_module_where_there_is_one():
    model = classifier()
    assert embeddings_module(model) is model.bert.embeddings
    assert embeddings_module(classifier("gpt2")) is None


@pytest.mark.parametrize("architecture", [name for name in ARCHITECTURES if name != "albert"])
def test_a_block_and_those_below_and_above_it(architecture):
    model = classifier(architecture)
    below_first, first, above_first = block(model, 0)
    below_second, second, above_second = block(model, 1)
    assert (below_first, above_first) == ([], [second])
    assert (below_second, above_second) == ([first], [])
    assert first is not second


@pytest.mark.parametrize("index", [2, -1, 100])
def test_a_block_out_of_range_is_refused(index):
    with pytest.raises(InputError, match="blocks 0 to 1"):
        block(classifier(), index)


@pytest.mark.parametrize("architecture", [name for name in ARCHITECTURES if name != "albert"])
def test_a_configuration_tells_which_blocks_there_are(architecture):
    config = classifier(architecture).config
    for layer in ("word", "embeddings", 0, 1):
        check_layer(layer, config, "it")
    with pytest.raises(InputError, match="it has blocks 0 to 1: there is no layer 2"):
        check_layer(2, config, "it")


def test_the_configuration_of_albert_tells_that_it_has_no_block_n():
    with pytest.raises(InputError, match="it uses one block over and over"):
        check_layer(1, classifier("albert").config, "it")


def test_albert_has_no_block_n():
    with pytest.raises(InputError, match="one block over and over"):
        block(classifier("albert"), 1)


def test_a_model_without_blocks_is_refused():
    with pytest.raises(InputError, match="no list of transformer blocks"):
        block(nn.Linear(2, 2), 0)


def test_blocks_under_gradient_checkpointing_are_refused():
    model = classifier()
    getattr(model, f"{CHECKPOINTING}_enable")()
    with pytest.raises(InputError, match="gradient checkpointing"):
        block(model, 1)


@pytest.mark.parametrize(
    ("text", "layer"), [("word", "word"), ("embeddings", "embeddings"), ("0", 0), ("11", 11), (3, 3)]
)
def test_layers_are_read_from_flags(text, layer):
    assert parse_layer(text) == layer


@pytest.mark.parametrize("text", ["", "-1", "1.5", "head"])
def test_other_layers_are_refused(text):
    with pytest.raises(InputError, match="'word', 'embeddings' or the number of a block"):
        parse_layer(text)
