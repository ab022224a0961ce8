"""Studies from dictionaries, with rows and models in memory."""

import copy

import pandas
import pytest
import torch
import yaml
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from alum.core.errors import InputError
from alum.stages.study.reading.study_file import study_in
from alum.stages.study.run import study
from alum.stages.study.settings import StudyArguments
from tiny_stages import save_untrained
from tiny_texts import opinions, write_rows

TRAIN, DEV, TEST = opinions(32), opinions(16, seed=1), opinions(24, seed=2)
BASE = {"text_columns": "text", "label_column": "label", "max_steps": 2, "use_cpu": True, "learning_rate": 1e-3}


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A classifier with its tokenizer."""
    folder = save_untrained(tmp_path_factory.mktemp("model"))
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


@pytest.fixture
def in_memory(given):
    model, tokenizer = given
    rows = {"train_rows": TRAIN, "validation_rows": pandas.DataFrame(DEV), "test_rows": TEST}
    return {
        "base": {**BASE, "model": model, "tokenizer": tokenizer},
        "tasks": {"opinions": rows},
        "arms": {"alum_one_pass": {}},
        "seeds": [3],
    }


def test_it_is_the_study_of_a_file(in_memory, given, tmp_path):
    model, tokenizer = given
    before = copy.deepcopy(model.config.to_dict())
    found = study(in_memory, str(tmp_path / "in memory"))
    assert model.config.to_dict() == before
    data, saved = tmp_path / "data", tmp_path / "saved"
    data.mkdir()
    for split, rows in (("train", TRAIN), ("validation", DEV), ("test", TEST)):
        write_rows(data / f"{split}.jsonl", rows)
    model.save_pretrained(saved)
    tokenizer.save_pretrained(saved)
    described = {**in_memory, "base": {**BASE, "model_name_or_path": str(saved)}}
    described["tasks"] = {"opinions": {"data_dir": str(data)}}
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(described))
    expected = study(StudyArguments(str(file), str(tmp_path / "in files")))
    for part in ("scores", "comparisons", "answers", "arms", "tasks", "seeds"):
        assert found.results[part] == expected.results[part], part
    assert found.results["scores"]
    for same in (study_in(described), str(file), described):  # of which all cells are finished
        assert study(same, str(tmp_path / "in files")).results["scores"] == expected.results["scores"]


def test_it_is_gone_on_with_and_shown(in_memory, tmp_path, capsys):
    del in_memory["arms"]["alum_one_pass"]
    in_memory["arms"]["r_drop"] = {
        "model": in_memory["base"].pop("model"),
        "tokenizer": in_memory["base"].pop("tokenizer"),
    }
    in_memory["base"]["model_name_or_path"] = str(save_untrained(tmp_path / "base"))
    result = study(in_memory, str(tmp_path / "out"))
    assert result.results["seeds"] == [3]
    result = study(in_memory, str(tmp_path / "out"), seeds=[4])
    assert result.results["seeds"] == [3, 4]
    frame = result.to_pandas()
    assert len(frame) == len(result.results["scores"])
    assert set(frame["arm"]) == set(result.to_pandas("costs")["arm"]) == {"standard", "r_drop"}
    capsys.readouterr()
    result.show()
    assert "opinions: accuracy" in capsys.readouterr().out
    assert result._repr_html_().startswith("<iframe srcdoc=")
    assert repr(result) == f"StudyResult(output_dir={str(tmp_path / 'out')!r})"


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        ({}, {"output_dir": None}, "a study needs an output_dir: its trainings are kept there"),
        ({}, {"workers": 0}, "workers must be 1 or more, not 0"),
        ({}, {"seeds": "x"}, "seeds must be a range"),
        ({"base": {"model": 3}}, {}, "expected a transformers model"),
        ({"tasks": {"opinions": {"train_rows": "train.jsonl"}}}, {}, "train_rows must be a datasets.Dataset"),
        ({"tasks": ["opinions"]}, {}, "tasks: expected lines of the form 'name: value'"),
        ({"armes": {}}, {}, "unknown key 'armes'"),
    ],
)
def test_what_is_no_study_is_refused(changes, settings, message, in_memory, tmp_path):
    with pytest.raises(InputError, match=message):
        study({**in_memory, **changes}, **{"output_dir": str(tmp_path / "out"), **settings})
    with pytest.raises(InputError, match="expected a study as a dictionary"):
        study(3, str(tmp_path / "out"))
