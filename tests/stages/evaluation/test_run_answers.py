"""Causal language models that choose answers, through `evaluate` and `attack`, held against plain forward passes."""

import json
import re
import shlex

import jsonschema
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from alum.cli.main import main
from alum.core.errors import InputError
from alum.data.pretraining.tokenizer import train_byte_level_bpe
from alum.stages.evaluation.arguments import AttackArguments, EvaluateArguments
from alum.stages.evaluation.attack import attack
from alum.stages.evaluation.run import evaluate
from places import ROOT
from tiny_models import headed
from tiny_texts import opinions, write_rows

ROWS = opinions(16)
PROMPT, ANSWERS = "Review: {text} It is", [" good", " gold"]


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("decoder")
    tokenizer = train_byte_level_bpe([row["text"] for row in ROWS], 300, 64, "causal_lm")
    sizes = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, "max_position_embeddings": 64}
    model = headed(AutoModelForCausalLM, "gpt2", **sizes)
    with torch.no_grad():  # large enough that answers differ
        for parameter in model.parameters():
            parameter.mul_(2)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def likeliest(folder, texts, prompt=PROMPT, answers=ANSWERS):
    """Index of the answer of the highest sum of log-likelihoods, by a forward pass for each."""
    model, tokenizer = (auto_class.from_pretrained(folder) for auto_class in (AutoModelForCausalLM, AutoTokenizer))
    found = []
    for text in texts:
        given = prompt.replace("{text}", text)
        num_given = len(tokenizer(given)["input_ids"])
        for answer in answers:
            ids = torch.tensor(tokenizer(given + answer)["input_ids"])
            with torch.no_grad():
                log_probs = model.eval()(input_ids=ids[None]).logits[0].log_softmax(-1)
            found.append(sum(log_probs[at - 1, ids[at]].item() for at in range(num_given, len(ids))))
    return np.array(found).reshape(len(texts), len(answers)).argmax(1)


def measured(folder, rows, tmp_path, **settings):
    return evaluate(
        EvaluateArguments(
            **{
                "model_name_or_path": [str(folder)],
                "validation_file": str(write_rows(tmp_path / "rows.jsonl", rows)),
                "label_column": "label",
                "prompt": PROMPT,
                "answers": ["good= good", "bad= gold"],
                "attacks": ["none"],
                "per_device_eval_batch_size": 5,
                **settings,
            }
        )
    )


def labelled_by(folder, num_wrong):
    """Rows with the labels that the model gives, but of some of them."""
    right = likeliest(folder, [row["text"] for row in ROWS])
    names = ("good", "bad")
    return [
        {"text": row["text"], "label": names[1 - best if index < num_wrong else best]}
        for index, (row, best) in enumerate(zip(ROWS, right, strict=True))
    ]


def test_accuracy_is_that_of_the_likeliest_answers(decoder, tmp_path):
    result = measured(decoder, labelled_by(decoder, 3), tmp_path)
    assert result.score("accuracy") == pytest.approx(13 / 16)
    (suite,) = result.results["suites"]
    assert (suite["kind"], suite["main_metric"], suite["label_names"]) == (
        "answer_likelihood",
        "accuracy",
        ["bad", "good"],
    )
    assert result.results["calibration"][0]["attack"] is None


def test_a_suites_labels_are_answered_in_their_order(decoder, tmp_path):
    rows = [{"sentence": row["text"], "label": ("good", "bad").index(row["label"])} for row in labelled_by(decoder, 5)]
    file = write_rows(tmp_path / "sst2.jsonl", rows)
    settings = {"suites": [f"sst2={file}"], "validation_file": None, "label_column": None, "kind": "causal_lm"}
    result = measured(decoder, [], tmp_path, prompt="Review: {sentence} It is", answers=ANSWERS, **settings)
    assert result.score("accuracy") == pytest.approx(11 / 16)


def test_prompts_and_completions_need_no_template(decoder, tmp_path):
    """Completions of the rows are the answers, which a newline parts from the prompt."""
    right = likeliest(decoder, [row["text"] for row in ROWS], "{text}", ["\ngood", "\ngold"])
    rows = [
        {"prompt": row["text"], "completion": ("good", "gold")[best if index else 1 - best]}
        for index, (row, best) in enumerate(zip(ROWS, right, strict=True))
    ]
    settings = {"kind": "causal_lm", "label_column": None, "prompt": None, "answers": ["good", "gold"]}
    assert measured(decoder, rows, tmp_path, **settings).score("accuracy") == pytest.approx(15 / 16)


def test_attacks_turn_answers_and_leave_the_template(decoder, tmp_path):
    rows = labelled_by(decoder, 2)
    attacks = {"attacks": ["typing", "pgd", "deepwordbug", "hotflip"], "epsilons": [0.03, 0.3], "num_steps": 5}
    folder = tmp_path / "out"
    result = measured(decoder, rows, tmp_path, **attacks, adversarial_gain=True, output_dir=str(folder))
    clean = result.score("accuracy")
    at_radii = [result.score("robust_accuracy", "pgd", epsilon) for epsilon in (0.03, 0.3)]
    assert clean == pytest.approx(14 / 16)
    assert clean >= at_radii[0] >= at_radii[1]
    assert at_radii[1] < clean
    for name in ("deepwordbug", "hotflip"):
        assert result.score("robust_accuracy", name) < clean
    names = ("good", "bad")
    texts = {row["text"]: row["label"] for row in rows}
    turned = [one for one in result.attacked_texts if one["outcome"] == "succeeded"]
    assert turned
    for one in turned:
        (original,), (perturbed,) = one["original"], one["perturbed"]
        assert texts[original] == one["label"] == one["before"]
        assert names[likeliest(decoder, [perturbed])[0]] == one["after"] != one["label"]
        changed = [new for new, old in zip(perturbed.split(), original.split(), strict=True) if new != old]
        assert len(changed) == len(one["changes"])
    (check,) = result.results["checks"]
    assert {part["name"]: part["passed"] for part in check["parts"]}["gradient_is_the_slope"]
    assert all(gain["gain"] > 0 for gain in result.results["gains"])
    schema = json.loads((ROOT / "docs/results.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads((folder / "results.json").read_text(encoding="utf-8")), schema)
    assert (folder / "report.html").is_file()


def test_texts_are_attacked_from_the_models_own_answers(decoder):
    texts, names = [row["text"] for row in ROWS], ("good", "gold")
    settings = {"prompt": PROMPT, "answers": ANSWERS, "attack": "deepwordbug"}
    outcomes = attack(str(decoder), None, texts, **settings)
    assert [outcome.label for outcome in outcomes] == [names[best] for best in likeliest(decoder, texts)]
    turned = [outcome for outcome in outcomes if outcome.result.outcome == "succeeded"]
    assert turned
    for outcome in turned:
        assert names[likeliest(decoder, outcome.result.perturbed)[0]] != outcome.label
    turned[0].show()


def test_a_prompt_of_a_pair(decoder):
    prompt = "{text_pair} {text} It is"
    outcome = attack(AttackArguments(str(decoder), "one two", text_pair="the dog", prompt=prompt, answers=ANSWERS))
    assert outcome.result.perturbed[0] == "one two"


def test_a_prompt_without_one_of_the_texts_is_refused(decoder):
    """It would be filled with the other one."""
    with pytest.raises(InputError, match=r"the prompt has no \{text\}: expected each text that is given in it"):
        attack(AttackArguments(str(decoder), "one", text_pair="the dog", prompt="{text_pair} It is", answers=ANSWERS))


def test_a_model_in_memory(decoder):
    model, tokenizer = AutoModelForCausalLM.from_pretrained(decoder), AutoTokenizer.from_pretrained(decoder)
    settings = {"label_column": "label", "prompt": PROMPT, "answers": ["good= good", "bad= gold"], "attacks": ["none"]}
    assert evaluate(model, tokenizer, labelled_by(decoder, 4), **settings).score("accuracy") == pytest.approx(12 / 16)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prompt": "Review: {sentence}"}, "the columns are|no column 'sentence'"),
        ({"answers": []}, "two or more answers"),
        ({"answers": [" great", " awful"]}, r"answers are great, awful, but the labels of rows are bad, good"),
        ({"kind": "regression"}, "answers stand for the labels of texts, but rows is regression"),
        ({"max_seq_length": 2}, "max_seq_length 2 leaves no room for prompts beside answers of"),
    ],
)
def test_what_does_not_fit_is_refused(decoder, tmp_path, settings, message):
    rows = [dict(row) for row in ROWS]
    if settings.get("kind"):
        rows = [{**row, "label": 0.5} for row in rows]
    with pytest.raises(InputError, match=message):
        measured(decoder, rows, tmp_path, **settings)


def test_a_function_chooses_no_answers(tmp_path):
    settings = {"label_column": "label", "prompt": PROMPT, "answers": ["good= good", "bad= gold"]}
    with pytest.raises(InputError, match="but rows is answer likelihood: give the model itself"):
        evaluate(lambda texts: np.ones((len(texts), 2)) / 2, None, ROWS, label_names=["good", "bad"], **settings)


def test_the_command_of_the_documentation_runs(decoder, tmp_path, monkeypatch, capsys):
    page = (ROOT / "docs/evaluation.md").read_text(encoding="utf-8").split("## Decoders as classifiers")[1]
    command = shlex.split(re.search(r"    alum (evaluate(?:.*\\\n)*.*)\n", page)[1].replace("\\\n", " "))
    assert command[1:3] == ["--model_name_or_path", "gpt2"]
    (tmp_path / "gpt2").symlink_to(decoder)
    rows = [{"sentence": row["text"], "label": index % 2} for index, row in enumerate(ROWS[:6])]
    write_rows(tmp_path / "sst2.jsonl", rows)
    monkeypatch.chdir(tmp_path)
    assert main([*command, "--data_dir", ".", "--no_check_gradient_masking"]) == 0
    shown = capsys.readouterr().out
    right = likeliest(
        decoder, [row["sentence"] for row in rows], "Review: {text}\nSentiment:", [" negative", " positive"]
    )
    accuracy = np.mean([best == row["label"] for best, row in zip(right, rows, strict=True)])
    assert f"{100 * accuracy:.1f}" in shown
