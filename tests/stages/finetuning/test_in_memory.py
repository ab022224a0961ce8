"""Fine-tuning on rows in memory, of a model in memory or a folder's."""

import copy
import os

import pandas
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, AutoTokenizer

from alum.core.errors import InputError
from alum.stages.evaluation.run import evaluate
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.run import finetune
from alum.stages.runs.stopping import Interrupted
from alum.training.trainer import AlumTrainer
from tiny_stages import finetune_arguments, finetune_config
from tiny_texts import opinions, tree

TRAIN, DEV = opinions(32), opinions(16, seed=1)
SETTINGS = {
    "text_columns": "text",
    "label_column": "label",
    "adv_method": "alum_one_pass",
    "max_steps": 4,
    "learning_rate": 1e-3,
    "use_cpu": True,
    "disable_tqdm": True,
}


@pytest.fixture
def folder(pretrained):
    return pretrained.output_dir


@pytest.fixture
def tokenizer(folder):
    return AutoTokenizer.from_pretrained(folder)


def classifier_of(folder, **settings):
    torch.manual_seed(7)
    return AutoModelForSequenceClassification.from_pretrained(folder, **settings)


def in_right_order(texts, model, tokenizer):
    with torch.no_grad():
        return model(**tokenizer(texts, padding=True, return_tensors="pt")).logits


def test_it_is_what_a_run_on_files_makes(folder, tokenizer, tmp_path):
    """The head that a run makes is drawn after its seed is set, and so it is here."""
    (tmp_path / "data").mkdir()
    for split, rows in (("train", TRAIN), ("validation", DEV)):
        pandas.DataFrame(rows).to_json(tmp_path / "data" / f"{split}.jsonl", orient="records", lines=True)
    config = finetune_config(tmp_path / "run", adv_method="alum_one_pass", max_steps=4, seed=3)
    expected = finetune(finetune_arguments(folder, tmp_path / "data"), config)
    settings = {**SETTINGS, "adv_gain_draws": 1, "logging_steps": 10, "seed": 3}
    found = finetune(folder, train_rows=TRAIN, validation_rows=pandas.DataFrame(DEV), **settings)
    assert found.metrics == expected.metrics
    saved = AutoModelForSequenceClassification.from_pretrained(tmp_path / "run").state_dict()
    assert all(torch.equal(values, saved[name]) for name, values in found.model.state_dict().items())
    assert len(found.tokenizer) == len(tokenizer)


def test_the_model_itself_is_trained_and_returned(folder, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    model = classifier_of(folder)
    before = {name: values.clone() for name, values in model.state_dict().items()}
    result = finetune(model, tokenizer, train_rows=TRAIN, validation_rows=DEV, **SETTINGS)
    assert result.model is model
    assert result.tokenizer is tokenizer
    assert not torch.equal(before["classifier.weight"], model.classifier.weight)
    assert (model.config.id2label, model.config.label2id) == ({0: "bad", 1: "good"}, {"bad": 0, "good": 1})
    assert result.output_dir is None
    assert result.num_steps == 4
    assert os.listdir(tmp_path) == []
    again = evaluate(model, tokenizer, DEV, attacks="none", text_columns="text", label_column="label")
    assert again.score("accuracy") == result.metrics["accuracy"]
    assert again.score("log_likelihood") == pytest.approx(-result.metrics["loss"], rel=1e-5)


def test_an_output_dir_is_as_that_of_a_run_on_files(folder, tokenizer, tmp_path):
    result = finetune(classifier_of(folder), tokenizer, train_rows=TRAIN, output_dir=str(tmp_path / "out"), **SETTINGS)
    assert result.output_dir == str(tmp_path / "out")
    saved = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert torch.equal(saved.classifier.weight, result.model.classifier.weight)
    assert {"model.safetensors", "tokenizer.json", "run.json", "results.json", "README.md"} <= tree(
        tmp_path / "out"
    ).keys()


def test_labels_are_in_the_order_of_the_models_outputs(folder, tokenizer):
    names = {"id2label": {0: "GOOD", 1: "BAD"}, "label2id": {"GOOD": 0, "BAD": 1}}
    model = classifier_of(folder, **names)
    result = finetune(
        model,
        tokenizer,
        train_rows=TRAIN,
        validation_rows=DEV,
        **{**SETTINGS, "max_steps": 40, "adv_method": "standard"},
    )
    assert result.label_names == ("good", "bad")
    model.eval()
    gold = torch.tensor([("good", "bad").index(row["label"]) for row in DEV])
    found = in_right_order([row["text"] for row in DEV], model, tokenizer).argmax(-1)
    assert result.metrics["accuracy"] == (found == gold).double().mean()
    assert result.metrics["accuracy"] > 0.7


def test_without_validation_rows_there_are_no_metrics(folder, tokenizer):
    assert finetune(classifier_of(folder), tokenizer, train_rows=TRAIN, **SETTINGS).metrics == {}
    with pytest.raises(InputError, match="eval_strategy needs rows to evaluate on: give validation_rows"):
        finetune(classifier_of(folder), tokenizer, train_rows=TRAIN, eval_strategy="epoch", **SETTINGS)


def test_a_run_that_is_stopped_does_not_tell_of_a_folder_that_is_gone(folder, tokenizer, monkeypatch, tmp_path):
    monkeypatch.setattr(AlumTrainer, "train", lambda *args, **kwargs: (_ for _ in ()).throw(Interrupted("here", 130)))
    with pytest.raises(Interrupted, match="nothing was kept: give an output_dir"):
        finetune(classifier_of(folder), tokenizer, train_rows=TRAIN, **SETTINGS)
    with pytest.raises(Interrupted, match="here"):
        finetune(classifier_of(folder), tokenizer, train_rows=TRAIN, output_dir=str(tmp_path / "out"), **SETTINGS)


def test_results_are_frames_and_tables(folder, tokenizer, capsys):
    result = finetune(classifier_of(folder), tokenizer, train_rows=TRAIN, validation_rows=DEV, **SETTINGS)
    (row,) = result.to_pandas().to_dict("records")
    assert (row["method"], row["num_steps"]) == ("alum_one_pass", 4)
    assert row["metrics_accuracy"] == result.metrics["accuracy"]
    assert row["last_gain_gain"] == result.last_gain["gain"]
    assert "model" not in row
    capsys.readouterr()
    result.show()
    assert "validation accuracy" in capsys.readouterr().out
    assert f"<td>{100 * result.metrics['accuracy']:.1f} %</td>" in result._repr_html_()


@pytest.mark.parametrize(
    ("make", "settings", "message"),
    [
        (
            lambda folder: classifier_of(folder, num_labels=3),
            {},
            r"has the outputs LABEL_0, .* load it with num_labels=2",
        ),
        (lambda folder: classifier_of(folder, id2label={0: "a", 1: "b"}), {}, "has the outputs a, b, but the labels"),
        (
            lambda folder: AutoModelForTokenClassification.from_pretrained(folder),
            {},
            "expected a model for sequence_classification, .* is one for token_classification",
        ),
        (
            lambda folder: classifier_of(folder, num_labels=1),
            {},
            "expected a model for sequence_classification, .* is one for regression",
        ),
        (
            classifier_of,
            {"train_rows": [{"text": "a", "label": 0.5}]},
            "expected a model for regression, .* is one for sequence_classification",
        ),
        (classifier_of, {"adv_metod": "alum"}, "unknown setting 'adv_metod': .* Did you mean 'adv_method'"),
        (str, {}, "the tokenizer is for models in memory: a path has its own"),
        (classifier_of, {"train_rows": None}, "expected train_rows to train on"),
        (classifier_of, {"train_rows": "train.jsonl"}, "train_rows must be a datasets.Dataset"),
        (classifier_of, {"splits": {}}, "expected train_rows to train on"),
        (lambda folder: FinetuneArguments(folder), {}, "beside FinetuneArguments give a FinetuneConfig"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_training(make, settings, message, folder, tokenizer, monkeypatch):
    monkeypatch.setattr(AlumTrainer, "train", None)
    model = make(folder)
    before = copy.deepcopy(getattr(model, "config", None))
    with pytest.raises(InputError, match=message):
        finetune(model, tokenizer, **{"train_rows": TRAIN, **SETTINGS, **settings})
    if before is not None:
        assert model.config.to_dict() == before.to_dict()
