"""Settings in config.json with which a model loads, and fails in its first pass: a line and exit code 2."""

import json

import pytest
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from alum.cli.main import main
from tiny_stages import save_untrained
from tiny_texts import opinions, write_rows, write_text

ROWS = opinions(12)


@pytest.fixture
def models(tmp_path):
    """An untrained language model and a classifier, whose feed-forward parts take lengths of a multiple of 1,000."""
    language_model, classifier = save_untrained(tmp_path / "lm"), tmp_path / "classifier"
    AutoModelForSequenceClassification.from_pretrained(language_model).save_pretrained(classifier)
    AutoTokenizer.from_pretrained(language_model).save_pretrained(classifier)
    for folder in (language_model, classifier):
        file = folder / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "chunk_size_feed_forward": 1000}))
    return language_model, classifier


def commands(models, tmp_path):
    language_model, classifier = map(str, models)
    rows = str(write_rows(tmp_path / "rows.jsonl", ROWS))
    text = str(write_text(tmp_path / "text.txt"))
    columns = ["--text_columns", "text", "--label_column", "label"]
    out = ["--output_dir", str(tmp_path / "out")]
    return {
        "pretrain": ["--model_name_or_path", language_model, "--train_file", text, *out, "--max_steps", "1"],
        "stream": [
            *("--model_name_or_path", language_model, "--train_file", text, "--streaming", "--max_steps", "1"),
            *out,
        ],
        "finetune": [
            "--model_name_or_path",
            classifier,
            "--train_file",
            rows,
            "--validation_file",
            rows,
            *columns,
            *out,
        ],
        "evaluate": ["--model_name_or_path", classifier, "--validation_file", rows, *columns, *out],
        "attack": ["--model_name_or_path", classifier, "--text", "the bright cat"],
        "radius": ["--model_name_or_path", classifier, "--train_file", rows, *columns, *out],
    }


@pytest.mark.parametrize("name", ["pretrain", "stream", "finetune", "evaluate", "attack", "radius"])
def test_a_model_that_cannot_be_run_is_told_in_a_line(name, models, tmp_path, capfd):
    command = {"stream": "pretrain"}.get(name, name)
    assert main([command, *commands(models, tmp_path)[name]]) == 2
    shown = [line for line in capfd.readouterr().err.splitlines() if "cannot be run" in line]
    assert len(shown) == 1
    assert "cannot be run on the first rows: ValueError: The dimension to be chunked" in shown[0]
    assert str(models[0 if command == "pretrain" else 1]) in shown[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("attack", "setting", "which"), [("masked_lm", "masked_lm", 0), ("deepwordbug", "similarity_model", 1)]
)
def test_so_is_a_model_that_an_attack_needs(attack, setting, which, models, tmp_path, capfd):
    whole = save_untrained(tmp_path / "whole")
    AutoModelForSequenceClassification.from_pretrained(whole).save_pretrained(tmp_path / "good")
    AutoTokenizer.from_pretrained(whole).save_pretrained(tmp_path / "good")
    command = ["attack", "--model_name_or_path", str(tmp_path / "good"), "--text", "the bright cat", "--attack", attack]
    assert main([*command, f"--{setting}", str(models[which])]) == 2
    assert f"{models[which]} cannot be run on the first rows" in capfd.readouterr().err
