import pytest
from torch import nn
from transformers import AutoModel, AutoModelForSeq2SeqLM, T5EncoderModel

from alum.core.errors import InputError
from alum.tasks.lookup import KINDS, SUPERVISED, kind_of
from tiny_models import ARCHITECTURES, CAUSAL, LANGUAGE_MODELS, classifier, config_of, headed, language_model


def test_the_table_goes_by_name():
    assert {name: kind.name for name, kind in KINDS.items()} == {name: name for name in KINDS}


def test_all_kinds_can_be_supervised_but_those_without_a_column_of_labels_or_that_other_trainers_train():
    others = ("masked_lm", "multi_label_classification", "sequence_to_sequence")
    assert {name: supervision.kind for name, supervision in SUPERVISED.items()} == {
        name: kind for name, kind in KINDS.items() if name not in others
    }


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"num_labels": 3}, "sequence_classification"),
        ({"num_labels": 1}, "regression"),
        ({"num_labels": 3, "problem_type": "regression"}, "regression"),
        ({"num_labels": 3, "problem_type": "multi_label_classification"}, "multi_label_classification"),
    ],
)
def test_classifiers(architecture, settings, name):
    assert kind_of(classifier(architecture, **settings)) is KINDS[name]


@pytest.mark.parametrize("architecture", LANGUAGE_MODELS)
def test_language_models(architecture):
    assert kind_of(language_model(architecture)).name == ("causal_lm" if architecture in CAUSAL else "masked_lm")


@pytest.mark.parametrize("architecture", ["t5", "bart"])
def test_encoder_decoders_generate(architecture):
    assert kind_of(headed(AutoModelForSeq2SeqLM, architecture)).name == "sequence_to_sequence"


@pytest.mark.parametrize(
    "model",
    [
        AutoModel.from_config(config_of("bert")),
        T5EncoderModel(config_of("t5")),
        nn.Linear(2, 2),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_head_that_no_kind_fits_is_refused_by_name(model):
    with pytest.raises(InputError, match=type(model).__name__):
        kind_of(model)


def test_a_subclass_of_a_known_head_is_of_its_kind():
    bert = classifier("bert")

    class MyClassifier(type(bert)):
        pass

    assert kind_of(MyClassifier(bert.config)) is kind_of(bert)
