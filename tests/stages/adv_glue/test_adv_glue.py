import json
import math

import pytest

from alum.core.errors import InputError
from alum.stages.adv_glue.arguments import AdvGlueArguments
from alum.stages.adv_glue.run import TaskScore, adv_glue, average_of
from alum.stages.evaluation.arguments import EvaluateArguments
from alum.stages.evaluation.run import evaluate
from tiny_models import classifier
from tiny_texts import opinions, write_rows
from tiny_tokenizers import TOKENIZERS

NLI = ["entailment", "not_entailment"]
QQP = ["not_duplicate", "duplicate"]


def save_classifier(folder, names):
    tokenizer = TOKENIZERS["wordpiece"]([row["text"] for row in opinions(24)])
    model = classifier(vocab_size=len(tokenizer), num_labels=len(names), pad_token_id=tokenizer.pad_token_id)
    model.config.id2label = dict(enumerate(names))
    model.config.label2id = {name: number for number, name in enumerate(names)}
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def tasks(tmp_path):
    """Models of two tasks, and rows of three, under both of their names."""
    rows = {
        "adv_qqp/validation.jsonl": [{"question1": f"q{i}", "question2": "a?", "label": i % 2} for i in range(6)],
        "adv_glue_rte/validation.jsonl": [{"sentence1": f"s{i}", "sentence2": "b", "label": i % 2} for i in range(4)],
        "adv_sst2.jsonl": [{"sentence": "fine", "label": 1}],
    }
    for name, own in rows.items():
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        write_rows(tmp_path / "data" / name, own)
    models = {
        task: str(save_classifier(tmp_path / task, names))
        for task, names in (("qqp", QQP), ("rte", NLI), ("qnli", NLI))
    }
    return models, tmp_path / "data"


def words(models):
    return [f"{task}={path}" for task, path in models.items()]


def test_each_model_is_measured_on_its_task_and_the_average_is_over_what_is_there(tasks, tmp_path, capsys):
    models, data = tasks
    result = adv_glue(AdvGlueArguments(models=words(models), data_dir=str(data), output_dir=str(tmp_path / "out")))
    expected, f1 = {}, None
    for task, file in (("qqp", "adv_qqp/validation.jsonl"), ("rte", "adv_glue_rte/validation.jsonl")):
        alone = evaluate(
            EvaluateArguments(model_name_or_path=[models[task]], suites=[f"adv_{task}={data / file}"], attacks=["none"])
        )
        expected[task] = alone.score("accuracy")
        f1 = alone.score("f1") if task == "qqp" else f1
    assert {score.task: score.accuracy for score in result.tasks} == expected
    assert {score.task: score.f1 for score in result.tasks} == {"qqp": f1, "rte": None}
    assert result.average == pytest.approx(((expected["qqp"] + f1) / 2 + expected["rte"]) / 2)
    assert result.missing == {
        "sst2": "no model", "mnli": "no model", "mnli_mismatched": "no model", "qnli": "no rows"
    }  # fmt: skip
    assert json.loads((tmp_path / "out" / "adv_glue.json").read_text())["average"] == result.average
    assert (tmp_path / "out" / "qqp" / "results.json").is_file()
    result.show()
    shown = " ".join(capsys.readouterr().out.split())
    assert "The average is over these tasks alone, and not AdvGLUE's own. Missing: sst2 (no model)" in shown


def test_the_average_is_that_of_a_published_row():
    """DeBERTa (large) in Wang et al. 2021, in percent; QQP has accuracy and F1."""
    accuracies = {"sst2": 57.89, "mnli": 58.36, "mnli_mismatched": 52.46, "qnli": 57.85, "rte": 78.95}
    scores = [TaskScore(task, "m", value, value, value, 9) for task, value in accuracies.items()]
    scores.append(TaskScore("qqp", "m", 60.43, 60.43, 60.43, 9, 47.98, 47.98, 47.98))
    assert average_of(scores)[0] == pytest.approx(60.86, abs=0.005)


def test_the_interval_of_accuracy_with_f1_has_the_mean_of_both_arms():
    score = TaskScore("qqp", "m", 0.6, 0.5, 0.8, 9, 0.4, 0.1, 0.5)
    assert average_of([score]) == pytest.approx((0.5, 0.3, 0.65))


def test_the_two_of_mnli_count_once_and_arms_add_up_by_their_squares():
    """Weights 1/2, 1/4, 1/4 of arms .1, .2, .2 below and .3, .4, 0 above."""
    scores = [
        TaskScore("qqp", "m", 0.5, 0.4, 0.8, 9),
        TaskScore("mnli", "m", 0.6, 0.4, 1.0, 9),
        TaskScore("mnli_mismatched", "m", 0.8, 0.6, 0.8, 9),
    ]
    average, low, high = average_of(scores)
    assert average == pytest.approx((0.5 + 0.7) / 2)
    assert average - low == pytest.approx(math.sqrt(0.05**2 + 2 * 0.05**2))
    assert high - average == pytest.approx(math.sqrt(0.15**2 + 0.1**2))


def test_a_model_of_mnli_is_one_of_its_mismatched_rows_too():
    assert AdvGlueArguments(models=["mnli=a"]).model_by_task == {"mnli": "a", "mnli_mismatched": "a"}
    both = AdvGlueArguments(models=["mnli=a", "mnli_mismatched=b"])
    assert both.model_by_task == {"mnli": "a", "mnli_mismatched": "b"}


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (["runs/qqp"], "expected a model as TASK=PATH, as qqp=runs/qqp, not 'runs/qqp'"),
        (["cola=a"], "unknown task of AdvGLUE 'cola'"),
        (["qqp=a", "qqp=b"], "two models for qqp"),
        ([], "no model: give --models TASK=PATH"),
    ],
)
def test_what_names_no_task_is_refused(models, message):
    with pytest.raises(InputError, match=message):
        AdvGlueArguments(models=models)


def test_without_the_hub_the_setting_that_it_has_is_named(tasks, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="Give a folder that holds adv_qqp with --data_dir"):
        adv_glue(AdvGlueArguments(models=[f"qqp={tasks[0]['qqp']}"]))


def test_a_folder_that_is_not_there_is_said_to_be_none(tmp_path):
    with pytest.raises(InputError, match=r"no folder at .*nowhere: name with --data_dir"):
        adv_glue(AdvGlueArguments(models=["qqp=a"], data_dir=str(tmp_path / "nowhere")))


def test_a_folder_without_any_of_the_tasks_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds none of adv_qqp: expected a folder or file"):
        adv_glue(AdvGlueArguments(models=["qqp=a"], data_dir=str(tmp_path)))
