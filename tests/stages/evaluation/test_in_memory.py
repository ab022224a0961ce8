"""Evaluations and attacks of models, functions and rows that are in memory."""

import copy
import json
import re

import numpy as np
import pandas
import pytest
import torch
from datasets import Dataset
from sklearn.metrics import accuracy_score, log_loss
from transformers import (
    AutoModelForMultipleChoice,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    BertModel,
)

from alum.core.errors import InputError
from alum.reports.evaluation.page import evaluation_page
from alum.stages.evaluation.arguments import AttackArguments, EvaluateArguments
from alum.stages.evaluation.attack import AttackOutcome, attack
from alum.stages.evaluation.run import evaluate
from places import ROOT
from tiny_models import classifier, headed
from tiny_stages import LENGTH_TOKENS
from tiny_texts import opinions, write_rows

ROWS = opinions(32, seed=1)
COLUMNS = {"text_columns": "text", "label_column": "label"}
LABELS = ("bad", "good")
TEXT = "the gentle cat sees the lovely dog ."


@pytest.fixture(scope="module")
def model(finetuned):
    return AutoModelForSequenceClassification.from_pretrained(finetuned.output_dir)


@pytest.fixture(scope="module")
def tokenizer(finetuned):
    return AutoTokenizer.from_pretrained(finetuned.output_dir)


@pytest.fixture
def says(model, tokenizer):
    """The model's probabilities, straight from transformers."""

    def says(texts):
        model.eval()
        inputs = tokenizer(list(texts), padding=True, truncation=True, max_length=LENGTH_TOKENS, return_tensors="pt")
        with torch.no_grad():
            return model(**inputs).logits.double().softmax(-1)

    return says


def good_or_not(texts):
    """Sure that a text is good where it has that word, and that it is bad elsewhere."""
    return [[0.1, 0.9] if "good" in text.split() else [0.9, 0.1] for text in texts]


GOOD_AND_BAD = [{"text": "some good films", "label": 1}, {"text": "some dull films", "label": 0}] * 3


# -- models ------------------------------------------------------------------------------------------------------------


def test_a_model_in_memory_is_measured_as_its_folder_is(finetuned, model, tokenizer, opinions_folder):
    settings = {"attacks": ["typing", "pgd", "deepwordbug", "hotflip"], "epsilons": [0.1, 1.0], "num_steps": 3}
    settings |= {"adversarial_gain": True, "max_attacked_samples": 8, **COLUMNS}
    in_memory = evaluate({"m": (model, tokenizer)}, rows_or_suites={"validation": ROWS}, **settings)
    file = str(opinions_folder / "validation.jsonl")
    in_files = evaluate(
        EvaluateArguments(model_name_or_path=f"m={finetuned.output_dir}", validation_file=file, **settings)
    )
    for part in ("scores", "comparisons", "calibration", "checks", "examples", "gains"):
        assert in_memory.results[part] == in_files.results[part], part
    assert in_memory.results["scores"]
    assert in_memory.attacked_texts == in_files.attacked_texts
    assert in_memory.output_dir is None


QUESTION = {"question": "who sees ?", "context": "the gentle cat", "answers": {"text": ["cat"], "answer_start": [11]}}
KINDS = {
    "regression": (
        AutoModelForSequenceClassification,
        [{"text": "the cat", "label": 0.5}, {"text": "a dog", "label": 0.1}],
    ),
    "multiple_choice": (AutoModelForMultipleChoice, [{"text": "the cat", "a": "sees", "b": "dog", "label": 1}] * 2),
    "question_answering": (AutoModelForQuestionAnswering, [QUESTION] * 2),
    "token_classification": (AutoModelForTokenClassification, [{"text": ["the", "cat"], "label": ["O", "B-X"]}] * 2),
}
OF_KINDS = {
    "regression": {**COLUMNS, "attacks": ["typing", "pgd", "typos"]},
    "multiple_choice": {**COLUMNS, "choice_columns": ["a", "b"], "attacks": ["typing", "pgd", "typos"]},
    "question_answering": {"text_columns": ["question", "context"], "label_column": "answers", "attacks": ["typos"]},
    "token_classification": {**COLUMNS, "attacks": "none"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_measured_as_from_its_folder(kind, tokenizer, tmp_path):
    (auto_class, rows), names = KINDS[kind], {0: "O", 1: "B-X"}
    own = {"id2label": names, "num_labels": 2} if kind == "token_classification" else {"num_labels": 1}
    model = headed(auto_class, vocab_size=len(tokenizer), **({} if kind == "question_answering" else own))
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    settings = {"kind": kind, "check_gradient_masking": False, "epsilons": [0.3], **OF_KINDS[kind]}
    found = [evaluate({"m": one}, None, {"rows": rows}, **settings) for one in ((model, tokenizer), str(tmp_path))]
    values = [[score["value"] for score in result.results["scores"]] for result in found]
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    with pytest.raises(
        InputError, match=f"m is a model of sequence_classification, .* are of {kind}|outputs are LABEL_0"
    ):
        evaluate({"m": classifier(num_labels=3)}, tokenizer, {"rows": rows}, **settings)


def test_scores_are_those_of_the_models_own_answers(model, tokenizer, says):
    result = evaluate(model, tokenizer, pandas.DataFrame(ROWS), attacks="none", **COLUMNS)
    probabilities, gold = says(row["text"] for row in ROWS).numpy(), [LABELS.index(row["label"]) for row in ROWS]
    assert result.score("accuracy") == accuracy_score(gold, probabilities.argmax(-1))
    assert result.score("log_likelihood") == pytest.approx(-log_loss(gold, probabilities), rel=1e-5)
    assert result.results["models"] == [
        {
            "name": "model",
            "path": "BertForSequenceClassification in memory",
            "num_parameters": sum(parameter.numel() for parameter in model.parameters()),
        }
    ]


def test_nothing_that_was_given_is_changed(finetuned, tokenizer):
    model = AutoModelForSequenceClassification.from_pretrained(finetuned.output_dir).train()
    model.bert.embeddings.eval()
    model.classifier.weight.grad = gradient = torch.ones_like(model.classifier.weight)
    model.bert.embeddings.word_embeddings.weight.requires_grad_(False)
    rows = Dataset.from_list(ROWS).with_format("torch")
    tokenizer(TEXT)  # it keeps that it was not to truncate

    def state():
        return (
            {name: module.training for name, module in model.named_modules()},
            {name: parameter.requires_grad for name, parameter in model.named_parameters()},
            {name: values.clone() for name, values in model.state_dict().items()},
            [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()],
            copy.deepcopy(model.config.to_dict()),
            tokenizer.backend_tokenizer.to_str(),
            rows.format,
        )

    before = state()
    evaluate(model, tokenizer, rows, attacks=["typing", "pgd", "hotflip"], adversarial_gain=True, **COLUMNS)
    attack(model, tokenizer, TEXT, attack="hotflip")
    after = state()
    for weights in (before[2], after[2]):
        assert weights.keys() == before[2].keys()
    assert all(torch.equal(before[2][name], after[2][name]) for name in before[2])
    assert [part for index, part in enumerate(before) if index != 2] == [p for i, p in enumerate(after) if i != 2]
    assert model.classifier.weight.grad is gradient
    assert torch.equal(gradient, torch.ones_like(gradient))


def test_adapters_are_measured_as_the_weights_that_they_stand_for(model, tokenizer):
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(task_type="SEQ_CLS", target_modules=["query", "value"], init_lora_weights=False)
    torch.manual_seed(0)
    adapted = peft.get_peft_model(copy.deepcopy(model), config)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora" in name:
                parameter.mul_(10)  # so that they tell
    merged = copy.deepcopy(adapted).merge_and_unload()
    settings = {"attacks": ["pgd"], "epsilons": [0.3], "num_steps": 3, "check_gradient_masking": False, **COLUMNS}
    found = [evaluate(one, tokenizer, ROWS, **settings) for one in (adapted, merged, model)]
    scores = [[result.score("log_likelihood"), result.score("robust_log_likelihood", "pgd", 0.3)] for result in found]
    assert scores[0] == pytest.approx(scores[1], rel=1e-4)
    assert scores[0] != pytest.approx(scores[2], rel=1e-2)


def test_models_are_compared_with_the_first_by_their_names(finetuned, model, tokenizer):
    swapped = copy.deepcopy(model)
    swapped.config.id2label = {0: "good", 1: "bad"}
    models = {"mine": model, "folder": finetuned.output_dir, "swapped": (swapped, tokenizer), "word": good_or_not}
    result = evaluate(models, tokenizer, ROWS, label_names=LABELS, attacks="none", **COLUMNS)
    assert [entry["name"] for entry in result.results["models"]] == list(models)
    accuracy = result.score("accuracy", model="mine")
    assert result.score("accuracy", model="folder") == accuracy
    assert result.score("accuracy", model="swapped") == pytest.approx(1 - accuracy)
    assert result.score("accuracy", model="word") == 0.5  # none has the word, and half of them are bad
    assert {entry["baseline"] for entry in result.results["comparisons"]} == {"mine"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (BertModel(classifier().config), "no kind of task fits BertModel"),
        (classifier(num_labels=1), "the model's outputs are LABEL_0, but the labels of rows are bad, good"),
        (classifier(problem_type="multi_label_classification"), "model is a model of multi_label_classification, but"),
        ("runs/a", "the tokenizer is for models in memory: a path has its own"),
        (good_or_not, "the tokenizer is for models in memory: .* a function reads texts as they are"),
        ({}, "no model: give one"),
    ],
)
def test_a_model_that_does_not_fit_the_rows_is_refused(given, message, tokenizer):
    with pytest.raises(InputError, match=message):
        evaluate(given, tokenizer, ROWS, attacks="none", **COLUMNS)


def test_arguments_have_all_settings(tokenizer):
    with pytest.raises(InputError, match="give nothing beside them"):
        evaluate(EvaluateArguments(model_name_or_path="m"), attacks=["pgd"])
    with pytest.raises(InputError, match="give nothing beside them"):
        evaluate(EvaluateArguments(model_name_or_path="m"), rows_or_suites=ROWS)
    with pytest.raises(InputError, match="give nothing beside them"):
        attack(AttackArguments("m", TEXT), tokenizer)


def test_columns_are_looked_for_as_in_files(model, tokenizer):
    with pytest.raises(InputError, match=r"rows has no column 'sentence': its columns are text, label"):
        evaluate(model, tokenizer, ROWS, text_columns="sentence", label_column="label")
    with pytest.raises(InputError, match="the columns of rows are text, label: say what they mean"):
        evaluate(model, tokenizer, ROWS)


def test_rows_of_a_named_suite_need_no_columns(model, tokenizer):
    rows = [{"sentence": row["text"], "label": LABELS.index(row["label"])} for row in ROWS]
    named = copy.deepcopy(model)
    named.config.id2label = {0: "negative", 1: "positive"}
    result = evaluate(named, tokenizer, {"sst2": rows}, attacks="none")
    assert result.score("accuracy") == evaluate(model, tokenizer, ROWS, attacks="none", **COLUMNS).score("accuracy")


def test_a_class_of_ones_own_is_of_the_kind_that_it_is_derived_from(model, tokenizer):
    own = copy.deepcopy(model)
    own.__class__ = type("OwnClassifier", (type(model),), {})
    result = evaluate(own, tokenizer, ROWS, attacks="none", **COLUMNS)
    assert result.score("accuracy") == evaluate(model, tokenizer, ROWS, attacks="none", **COLUMNS).score("accuracy")
    assert result.results["models"][0]["path"] == "OwnClassifier in memory"


def test_the_documentation_is_true(model, tokenizer, tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/evaluation.md").read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "evaluation.md", "exec"), {"model": model, "tokenizer": tokenizer, "rows": ROWS[:4]})
    assert len(pandas.read_csv("attacked.csv")) == 4
    assert "rows, deepwordbug" in capsys.readouterr().out


# -- functions ---------------------------------------------------------------------------------------------------------


def test_a_function_is_attacked_as_the_model_that_it_asks(model, tokenizer, says):
    """This attack ranks words by leaving them out, for which no tokenizer is needed."""
    settings = {"attacks": ["typing", "textbugger"], **COLUMNS}
    found = [
        evaluate(says, None, ROWS, label_names=LABELS, **settings),
        evaluate(says, None, ROWS, label_names=["bad", "good"], per_device_eval_batch_size=3, **settings),
        evaluate(model, tokenizer, ROWS, **settings),
    ]
    levels = [[score["value"] for score in result.results["scores"]] for result in found]
    assert levels[0] == pytest.approx(levels[2], rel=1e-4)
    assert levels[1] == pytest.approx(levels[2], rel=1e-4)
    assert found[0].results["models"] == [{"name": "model", "path": "a function in memory", "num_parameters": None}]


def test_an_attack_on_a_function_finds_the_word_that_it_reads():
    """Any change of the word turns the good half; no change of a letter makes the word of another."""
    result = evaluate(good_or_not, None, GOOD_AND_BAD, attacks="deepwordbug", **COLUMNS)
    assert result.score("accuracy") == 1
    assert result.score("robust_accuracy", "deepwordbug") == 0.5
    assert result.score("attack_success_rate", "deepwordbug") == 0.5
    assert result.score("changed_word_share", "deepwordbug") == pytest.approx(1 / 3)
    turned = [record for record in result.attacked_texts if record["outcome"] == "succeeded"]
    assert [[change["old"] for change in record["changes"]] for record in turned] == [["good"]] * 3
    assert result.score("log_likelihood") == pytest.approx(np.log(0.9))


def test_columns_of_a_function_are_told_by_the_names_of_labels():
    rows = [{"text": row["text"], "label": ("bad", "good")[row["label"]]} for row in GOOD_AND_BAD]
    result = evaluate(
        lambda texts: [row[::-1] for row in good_or_not(texts)],
        rows_or_suites=rows,
        label_names=["good", "bad"],
        attacks="none",
        **COLUMNS,
    )
    assert result.score("accuracy") == 1


def test_the_record_of_a_function_is_as_the_schema_says():
    jsonschema = pytest.importorskip("jsonschema")
    result = evaluate(good_or_not, None, GOOD_AND_BAD, attacks=["typing", "typos"], **COLUMNS)
    schema = json.loads((ROOT / "docs/results.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads(json.dumps(result.results)), schema)
    assert "<code><bdi>a function in memory</bdi></code></li>" in evaluation_page(result.results)


def test_unless_others_are_named_typing_is_the_attack():
    result = evaluate(good_or_not, None, GOOD_AND_BAD, **COLUMNS)
    assert [entry["name"] for entry in result.results["attacks"]] == ["typing"]


def test_pairs_are_given_as_tuples():
    def same(pairs):
        return [[0.1, 0.9] if first == second else [0.9, 0.1] for first, second in pairs]

    rows = [{"a": "one word", "b": b, "label": int(b == "one word")} for b in ("one word", "another")]
    result = evaluate(same, None, rows, text_columns=["a", "b"], label_column="label", attacks=["typos"])
    assert result.score("accuracy") == 1
    frame = result.attacked_texts.to_pandas()
    assert frame["original_1"].tolist() == frame["perturbed_1"].tolist() == ["one word"] * 2
    assert frame["original_2"].tolist() == ["one word", "another"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"attacks": ["typing", "pgd", "hotflip"]}, "^pgd, hotflip: expected a model, whose gradients are followed"),
        ({"adversarial_gain": True}, "^the adversarial gain: expected a model"),
        ({"rows_or_suites": ROWS}, "the labels of rows are bad, good, in no order .* label_names"),
        ({"kind": "causal_lm"}, "model is a function from texts to probabilities of labels, but rows is"),
        ({"rows_or_suites": [{"text": "a", "label": 0.5}]}, "but rows is regression: give the model itself"),
        ({"label_names": ["bad", "fair", "good"]}, "returned 2 columns, but the labels are bad, fair, good"),
        ({"rows_or_suites": [*GOOD_AND_BAD, {"text": "a", "label": 2}]}, "returned 2 columns for 3 labels"),
    ],
)
def test_what_a_function_cannot_be_asked_is_refused_with_the_reason(settings, message):
    with pytest.raises(InputError, match=message):
        evaluate(**{"model": good_or_not, "rows_or_suites": GOOD_AND_BAD, **COLUMNS, **settings})


# -- folders -----------------------------------------------------------------------------------------------------------


def test_a_stopped_evaluation_goes_on_with_the_same_weights_only(model, tokenizer, tmp_path):
    settings = {"attacks": ["typing"], "output_dir": str(tmp_path / "out"), **COLUMNS}
    first = evaluate(model, tokenizer, ROWS, **settings)
    assert (tmp_path / "out" / "report.html").is_file()
    assert evaluate(model, tokenizer, ROWS, **settings).results["scores"] == first.results["scores"]
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.classifier.bias += 1
    with pytest.raises(InputError, match="is not the model model that the evaluation in"):
        evaluate(other, tokenizer, ROWS, **settings)


def test_an_evaluation_of_a_function_is_not_gone_on_with(tmp_path):
    settings = {"output_dir": str(tmp_path / "out"), **COLUMNS}
    evaluate(good_or_not, None, GOOD_AND_BAD, **settings)
    with pytest.raises(InputError, match="cannot be told from another one: start anew with overwrite_output_dir"):
        evaluate(good_or_not, None, GOOD_AND_BAD, **settings)
    evaluate(good_or_not, None, GOOD_AND_BAD, overwrite_output_dir=True, **settings)


# -- results -----------------------------------------------------------------------------------------------------------


def test_a_frame_has_a_row_for_each_entry():
    result = evaluate(good_or_not, None, GOOD_AND_BAD, attacks="deepwordbug", **COLUMNS)
    frame = result.to_pandas()
    assert len(frame) == len(result.results["scores"])
    (attacked,) = frame[frame["metric"] == "robust_accuracy"].to_dict("records")
    assert (attacked["attack"], attacked["value"], attacked["clean_value"]) == ("deepwordbug", 0.5, 1.0)
    assert len(result.to_pandas("calibration")) == 2
    assert result.to_pandas("comparisons").empty


def test_all_attacked_texts_are_exported_whatever_the_page_shows(tmp_path):
    rows = [*GOOD_AND_BAD, {"text": 'a "good", dull\nfilm', "label": 0}]
    result = evaluate(good_or_not, None, rows, attacks="deepwordbug", num_examples=1, **COLUMNS)
    assert len(result.results["examples"]) == 1
    assert len(result.attacked_texts) == 7
    assert repr(result.attacked_texts) == "<7 attacked texts, 3 turned>"
    result.attacked_texts.to_csv(tmp_path / "texts.csv")
    result.attacked_texts.to_jsonl(tmp_path / "texts.jsonl")
    names = {"label": str, "before": str, "after": str}
    read = pandas.read_csv(tmp_path / "texts.csv", dtype=names)
    pandas.testing.assert_frame_equal(read, result.attacked_texts.to_pandas(), check_dtype=False)
    assert read["original"].tolist() == [row["text"] for row in rows]
    assert read["outcome"].tolist() == ["succeeded", "failed"] * 3 + ["failed"]
    assert read["label"].tolist() == [str(row["label"]) for row in rows]
    lines = (tmp_path / "texts.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == list(result.attacked_texts)


def test_it_is_shown_as_tables_in_a_terminal_and_as_its_page_in_a_notebook(capsys):
    result = evaluate(good_or_not, None, GOOD_AND_BAD, attacks="none", **COLUMNS)
    result.show()
    assert "100.0 (61–100)" in capsys.readouterr().out
    assert result._repr_html_().startswith('<iframe srcdoc="&lt;!DOCTYPE html&gt;')
    assert repr(result) == "EvaluateResult(output_dir=None, attacked_texts=<0 attacked texts, 0 turned>)"


# -- single texts ------------------------------------------------------------------------------------------------------


def test_a_text_is_attacked_as_by_the_models_folder(finetuned, model, tokenizer):
    for name in ("deepwordbug", "hotflip"):
        found = attack(model, tokenizer, TEXT, attack=name)
        expected = attack(AttackArguments(finetuned.output_dir, TEXT, attack=name))
        assert found.result == expected.result
        assert (found.label, found.label_names) == (expected.label, expected.label_names)
    assert attack(finetuned.output_dir, text=TEXT, attack="hotflip") == expected


def test_several_texts_are_each_attacked_as_alone(model, tokenizer):
    texts = [row["text"] for row in ROWS[:5]]
    found = attack(model, tokenizer, texts)
    alone = [attack(model, tokenizer, text) for text in texts]
    assert [(one.label, one.result.perturbed, one.result.outcome) for one in found] == [
        (one.label, one.result.perturbed, one.result.outcome) for one in alone
    ]
    assert len(found) == 5
    assert isinstance(found[1], AttackOutcome)
    frame = found.to_pandas()
    assert frame["original"].tolist() == texts
    assert frame["row"].tolist() == [1, 2, 3, 4, 5]
    assert frame["perturbed"].tolist() == [one.result.perturbed[0] for one in alone]


def test_pairs_are_attacked_side_by_side():
    def same(pairs):
        return [[0.1, 0.9] if first == second else [0.9, 0.1] for first, second in pairs]

    found = attack(same, text=["one word", "a"], text_pair=["one word", "b"], label_names=["other", "same"])
    assert [one.label for one in found] == ["same", "other"]
    assert [one.result.outcome for one in found] == ["succeeded", "failed"]


def test_a_function_without_names_has_numbers_for_labels():
    found = attack(good_or_not, text="some good films")
    assert (found.label, found.label_names, found.result.outcome) == ("1", ("0", "1"), "succeeded")
    assert attack(good_or_not, text="some good films", label="0").result.outcome == "skipped"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"attack": "hotflip"}, "a function from texts to probabilities gives none"),
        ({"text": []}, "no text"),
        ({"text": 3}, "text must be a text or a list of texts, not int"),
        ({"text": ["a", 3]}, "text must be a text or a list of texts"),
        ({"text_pair": ["a", "b"]}, "a text_pair for each text, but there are 1 text and 2 of text_pair"),
        ({"text": "..."}, "the text has no words"),
        ({"model": {"a": good_or_not, "b": good_or_not}}, "expected one model to attack, not a, b"),
        ({"atack": "typos"}, "unknown setting 'atack'"),
    ],
)
def test_attacks_that_cannot_be_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        attack(**{"model": good_or_not, "text": "some good films", **settings})


def test_text_in_a_notebook_is_text(capsys):
    hostile = "a good <script>alert(1)</script> film"
    outcome = attack(good_or_not, text=hostile, label_names=["bad", "<b>good"])
    html = outcome._repr_html_()
    assert "&lt;script&gt;" in html
    assert "<script" not in html
    assert "<b>good" not in html
    assert "<del>good</del> → <ins>" in html
    outcome.show()
    assert "[good → " in capsys.readouterr().out


def test_rows_in_a_file_and_a_model_in_memory(model, tokenizer, tmp_path):
    file = str(write_rows(tmp_path / "rows.jsonl", ROWS))
    result = evaluate(model, tokenizer, validation_file=file, attacks="none", **COLUMNS)
    assert result.score("accuracy") == evaluate(model, tokenizer, ROWS, attacks="none", **COLUMNS).score("accuracy")
