import pandas
import pytest
from datasets import Dataset, DatasetDict
from transformers import pipeline

from alum.core.errors import InputError
from alum.models.model_in_memory import ModelInMemory
from alum.models.text_function import TextFunction
from alum.stages.evaluation.arguments import EvaluateArguments
from alum.stages.runs.given import made, models_in, tables_in
from tiny_models import classifier
from tiny_tokenizers import wordpiece

ROWS = [{"text": "one", "label": 0}]


@pytest.fixture(scope="module")
def tokenizer():
    return wordpiece(["one two"])


def test_settings_are_those_of_the_dataclass():
    arguments = made(EvaluateArguments, {"model_name_or_path": "m", "text_columns": ["premise", "hypothesis"]})
    assert arguments.text_columns == "premise,hypothesis"
    assert made(EvaluateArguments, {"model_name_or_path": "m", "text_columns": "text"}).text_columns == "text"


def test_a_setting_that_there_is_not_is_refused():
    with pytest.raises(InputError, match=r"unknown setting 'attack': .* Did you mean 'attacks'"):
        made(EvaluateArguments, {"model_name_or_path": "m", "attack": "pgd"})
    with pytest.raises(InputError, match=r"text_columns: names with a comma cannot be told apart"):
        made(EvaluateArguments, {"model_name_or_path": "m", "text_columns": ["a, b"]})


def test_models_are_told_by_what_they_are(tokenizer):
    model, other = classifier(), wordpiece(["three"])
    found = models_in({"a": model, "b": (model, other), "c": "runs/c", "d": len}, tokenizer, ["no", "yes"])
    assert (found["a"].model, len(found["a"].tokenizer)) == (model, len(tokenizer))
    assert (found["b"].model, len(found["b"].tokenizer)) == (model, len(other))
    assert len(other) != len(tokenizer)
    assert found["c"] == "runs/c"
    assert found["d"] == TextFunction(len, ("no", "yes"))


def test_a_pipeline_is_its_model_and_tokenizer(tokenizer):
    model = classifier()
    (found,) = models_in(pipeline("text-classification", model=model, tokenizer=tokenizer), None, None).values()
    assert isinstance(found, ModelInMemory)
    assert found.model is model


@pytest.mark.parametrize("name", ["", "a=b", "a/b", 3])
def test_names_of_models_are_those_of_files(name):
    with pytest.raises(InputError, match="expected models by names without = and /"):
        models_in({name: len}, None, None)


def test_label_names_are_for_functions_alone(tokenizer):
    with pytest.raises(InputError, match=r"config\.id2label"):
        models_in(classifier(), tokenizer, ["no", "yes"])


def test_rows_have_the_name_rows_or_their_own():
    for rows in (ROWS, Dataset.from_list(ROWS), pandas.DataFrame(ROWS)):
        tables, suites = tables_in(rows)
        assert [(name, table.where, table.rows.to_list()) for name, table in tables.items()] == [("rows", "rows", ROWS)]
        assert suites == []
    tables, suites = tables_in(DatasetDict({"dev": Dataset.from_list(ROWS)}))
    assert (list(tables), suites) == (["dev"], [])
    tables, suites = tables_in({"mine": ROWS, "theirs": "theirs.jsonl"})
    assert (list(tables), suites) == (["mine"], ["theirs=theirs.jsonl"])


def test_names_of_rows_are_text():
    with pytest.raises(InputError, match="expected rows by name, as text, not by 'a', 1"):
        tables_in({"a": ROWS, 1: ROWS})


@pytest.mark.parametrize(("given", "suites"), [("sst2", ["sst2"]), (["sst2", "cola"], ["sst2", "cola"])])
def test_text_names_suites(given, suites):
    assert tables_in(given) == ({}, suites)
