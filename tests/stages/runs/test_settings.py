import dataclasses
from typing import get_args, get_origin

import pytest
from transformers import HfArgumentParser, TrainingArguments

from alum.stages.evaluation.arguments import EvaluateArguments
from alum.stages.finetuning.arguments import FinetuneArguments, FinetuneSettings
from alum.stages.finetuning.config import FinetuneConfig
from alum.stages.pretraining.arguments import PretrainArguments, PretrainSettings
from alum.stages.pretraining.config import PretrainConfig
from alum.stages.radius.arguments import RadiusArguments
from alum.stages.runs.settings import StageSettings, TrainingSettings, instead
from alum.stages.study.comparing.arguments import CompareArguments
from alum.training.config import AlumConfig


def defaults(of):
    return {field.name: field.default for field in dataclasses.fields(of)}


def flags(of):
    actions = HfArgumentParser(of, add_help=False)._actions
    return {
        action.dest: (action.option_strings, action.nargs, action.default, action.choices and tuple(action.choices))
        for action in actions
    }


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(TrainingSettings)])
def test_a_setting_that_many_use_is_the_trainers_own_but_for_its_words(name):
    assert flags(TrainingSettings)[name] == flags(TrainingArguments)[name]


@pytest.mark.parametrize(
    ("config", "settings"), [(PretrainConfig, PretrainSettings), (FinetuneConfig, FinetuneSettings)]
)
def test_a_config_has_the_settings_and_their_defaults(config, settings):
    assert defaults(settings).items() <= defaults(config).items()
    assert issubclass(config, TrainingArguments)
    assert issubclass(config, AlumConfig)


def test_the_trainers_fields_come_first_and_in_their_order():
    """So that a call that gives them by place means the same."""
    trainers = [field.name for field in dataclasses.fields(TrainingArguments)]
    for config in (AlumConfig, PretrainConfig, FinetuneConfig):
        assert [field.name for field in dataclasses.fields(config)][: len(trainers)] == trainers


def test_another_default_keeps_the_help():
    changed = instead(StageSettings, "max_minutes", 5.0)
    assert changed.default == 5.0
    (former,) = (field for field in dataclasses.fields(StageSettings) if field.name == "max_minutes")
    assert changed.metadata == former.metadata


@pytest.mark.parametrize("given", ["pgd", ["pgd"], ("pgd",)])
def test_a_name_where_a_list_is_expected_is_one_name(given):
    assert EvaluateArguments(model_name_or_path="runs/a", attacks=given).attacks == ["pgd"]


@pytest.mark.parametrize(
    ("of", "required"),
    [
        (EvaluateArguments, {"model_name_or_path": "runs/a"}),
        (PretrainArguments, {}),
        (RadiusArguments, {"model_name_or_path": "runs/a", "train_file": "rows.jsonl"}),
        (CompareArguments, {"runs": "a"}),
    ],
)
def test_every_list_of_settings_takes_a_single_value(of, required):
    lists = {field.name: field.type for field in dataclasses.fields(of) if get_origin(field.type) is list}
    assert lists
    for name, declared in lists.items():
        if name == "answers":  # of which there are two or more
            continue
        value = 0.25 if get_args(declared) == (float,) else "name"
        assert getattr(of(**{**required, name: value}), name) == [value]


def test_none_is_an_empty_list_and_one_value_a_list_of_it():
    assert EvaluateArguments(model_name_or_path="a", suites=None, attacks=("pgd", "typing")).suites == []
    assert PretrainArguments(train_file="a.txt", validation_file=None).validation_file == []
    assert FinetuneArguments(model_name_or_path="a", train_weights=None).train_weights == []
