import pytest
import torch
from torch import nn

from alum.core.errors import InputError
from alum.models.model_in_memory import ModelInMemory, left_as_it_was
from tiny_models import classifier
from tiny_tokenizers import wordpiece


@pytest.fixture
def tokenizer():
    return wordpiece(["one two"])


def test_the_tokenizer_is_a_copy_and_the_model_is_not(tokenizer):
    model = classifier()
    given = ModelInMemory.of(model, tokenizer)
    assert given.model is model
    before = tokenizer.backend_tokenizer.to_str()
    given.tokenizer("one two", truncation=True, max_length=3)
    assert tokenizer.backend_tokenizer.to_str() == before != given.tokenizer.backend_tokenizer.to_str()


def test_wrappers_of_torch_are_taken_off(tokenizer):
    model = classifier()
    assert ModelInMemory.of(torch.compile(model), tokenizer).model is model


def test_adapters_stay_on(tokenizer):
    peft = pytest.importorskip("peft")
    adapted = peft.get_peft_model(classifier(), peft.LoraConfig(task_type="SEQ_CLS", target_modules=["query"]))
    given = ModelInMemory.of(adapted, tokenizer)
    assert given.model is adapted
    assert given.name_or_path == "BertForSequenceClassification in memory"
    assert given.label_names == ("LABEL_0", "LABEL_1")


def test_modes_and_gradients_are_given_back():
    model = classifier().train()
    model.classifier.eval()
    modes = {name: module.training for name, module in model.named_modules()}
    weight = model.classifier.weight
    weight.grad = gradient = torch.ones_like(weight)
    with left_as_it_was(model):
        assert weight.grad is None
        model.eval()
        model(input_ids=torch.tensor([[1, 2]])).logits.sum().backward()
        assert weight.grad is not None
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert weight.grad is gradient
    assert torch.equal(gradient, torch.ones_like(weight))
    assert all(parameter.grad is None for parameter in model.bert.parameters())


def test_they_are_given_back_where_something_fails_too():
    model = classifier().train()

    def fail():
        with left_as_it_was(model):
            model.eval()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert model.training


@pytest.mark.parametrize(
    ("model", "has_tokenizer", "message"),
    [
        (nn.Linear(2, 2), True, "expected a transformers model, its path, or a function .* not Linear"),
        (None, True, "not NoneType"),
        (classifier(), False, "a model in memory needs its tokenizer"),
    ],
)
def test_anything_else_is_refused(model, has_tokenizer, message, tokenizer):
    with pytest.raises(InputError, match=message):
        ModelInMemory.of(model, tokenizer if has_tokenizer else None)


def test_the_longest_input_is_that_of_its_positions(tokenizer):
    given = ModelInMemory.of(classifier(), tokenizer)
    assert given.input_length_tokens(None, 1000) == 64
    with pytest.raises(InputError, match="65 is more than the 64 positions of BertForSequenceClassification in memory"):
        given.input_length_tokens(65, 9)
