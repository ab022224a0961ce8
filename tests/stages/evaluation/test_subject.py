"""Every kind of task through `evaluate`: clean scores against the model's own answers, and each kind of attack."""

import json

import pytest
import torch
from transformers import (
    AutoModelForMultipleChoice,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from alum.data.pretraining.tokenizer import train_wordpiece
from alum.stages.evaluation.arguments import EvaluateArguments
from alum.stages.evaluation.run import evaluate
from tiny_models import headed
from tiny_texts import opinions, write_rows

TEXTS = [row["text"] for row in opinions(24)]
NLI = ("entailment", "neutral", "contradiction")


def answer(context, number):
    text = " ".join(context.split()[1 + number % 4 : 3 + number % 4])
    return {"text": [text], "answer_start": [context.index(text)]}


KINDS = {
    "pair": (
        AutoModelForSequenceClassification,
        {"num_labels": 3, "id2label": dict(enumerate(NLI)), "label2id": {name: i for i, name in enumerate(NLI)}},
        [{"premise": text, "hypothesis": TEXTS[-i], "label": i % 3} for i, text in enumerate(TEXTS)],
        "snli",
        "accuracy",
    ),
    "regression": (
        AutoModelForSequenceClassification,
        {"num_labels": 1, "problem_type": "regression"},
        [{"sentence1": text, "sentence2": TEXTS[-i], "label": i / 12 - 1} for i, text in enumerate(TEXTS)],
        "stsb",
        "within_tolerance",
    ),
    "choice": (
        AutoModelForMultipleChoice,
        {},
        [
            {"premise": text, "question": "cause", "choice1": TEXTS[-i], "choice2": TEXTS[i - 5], "label": i % 2}
            for i, text in enumerate(TEXTS)
        ],
        "copa",
        "accuracy",
    ),
    "question": (
        AutoModelForQuestionAnswering,
        {},
        [
            {"id": str(i), "title": "", "question": text, "context": TEXTS[-i], "answers": answer(TEXTS[-i], i)}
            for i, text in enumerate(TEXTS)
        ],
        "squad",
        "exact_match",
    ),
}


@pytest.fixture(scope="module")
def tokenizer():
    return train_wordpiece(TEXTS, 120, 64)


@pytest.fixture(scope="module")
def places(tokenizer, tmp_path_factory):
    """A model's folder and a file of rows for each kind."""
    found = {}
    for kind, (auto_class, head, rows, *_) in KINDS.items():
        folder = tmp_path_factory.mktemp(kind)
        torch.manual_seed(0)
        settings = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, "max_position_embeddings": 64}
        headed(auto_class, **settings, **head).save_pretrained(folder / "model")
        tokenizer.save_pretrained(folder / "model")
        found[kind] = str(folder / "model"), str(write_rows(folder / "rows.jsonl", rows))
    return found


def measured(places, kind, **settings):
    model, file = places[kind]
    return evaluate(
        EvaluateArguments(
            **{
                "model_name_or_path": [model],
                "suites": [f"{KINDS[kind][3]}={file}"],
                "max_seq_length": 48,
                "num_steps": 2,
                **settings,
            }
        )
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_measured_clean_and_under_every_sort_of_attack(places, kind):
    result = measured(places, kind, attacks=["typing", "pgd", "deepwordbug"], epsilons=[0.1, 1.0], max_queries=60)
    metric = KINDS[kind][4]
    clean = result.score(metric)
    assert 0 <= result.score(f"robust_{metric}", "typing") <= 1
    # What was wrong before stays wrong under an attack.
    assert result.score(f"robust_{metric}", "deepwordbug") <= clean
    if kind != "question":  # whose spans are attacked by their loss, to the end
        assert result.score(f"robust_{metric}", "pgd", 1.0) <= result.score(f"robust_{metric}", "pgd", 0.1) <= clean
    checks = result.results["checks"]
    assert [len(check["parts"]) for check in checks] == ([] if kind == "question" else [7])
    for example in result.results["examples"]:
        assert example["original"] != example["perturbed"] or not example["changes"]


def test_the_accuracy_of_pairs_is_that_of_the_models_answers(places):
    model = AutoModelForSequenceClassification.from_pretrained(places["pair"][0]).eval()
    tokenizer = AutoTokenizer.from_pretrained(places["pair"][0])
    right = []
    for row in KINDS["pair"][2]:
        inputs = tokenizer(row["premise"], row["hypothesis"], truncation=True, max_length=48, return_tensors="pt")
        right.append(int(model(**inputs).logits.argmax()) == row["label"])
    assert measured(places, "pair", attacks=["none"]).score("accuracy") == pytest.approx(sum(right) / len(right))


def test_a_three_way_model_on_a_two_way_suite_joins_what_is_no_entailment(places, tmp_path):
    model = AutoModelForSequenceClassification.from_pretrained(places["pair"][0]).eval()
    tokenizer = AutoTokenizer.from_pretrained(places["pair"][0])
    rows = [
        {
            "premise": row["premise"],
            "hypothesis": row["hypothesis"],
            "label": i % 2,
            "heuristic": ("p", "q", "r")[i % 3],
        }
        for i, row in enumerate(KINDS["pair"][2])
    ]
    right = []
    for row in rows:
        inputs = tokenizer(row["premise"], row["hypothesis"], truncation=True, max_length=48, return_tensors="pt")
        right.append(int(model(**inputs).logits.argmax() != 0) == row["label"])
    file = write_rows(tmp_path / "hans.jsonl", rows)
    result = measured(places, "pair", suites=[f"hans={file}"], attacks=["pgd", "hotflip"], epsilons=[0.5])
    assert result.score("accuracy") == pytest.approx(sum(right) / len(right))
    groups = {
        row["group"]: row
        for row in result.results["scores"]
        if row["attack"] is None and row["group"] and row["metric"] == "accuracy"
    }
    for group, score in groups.items():
        own = [ok for ok, row in zip(right, rows, strict=True) if row["heuristic"] == group]
        assert (score["value"], score["num_rows"]) == (pytest.approx(sum(own) / len(own)), len(own))
    assert result.score("robust_accuracy", "hotflip") <= result.score("accuracy")


def test_a_correlation_is_reported_with_its_interval(places):
    result = measured(places, "regression", attacks=["none"])
    rows = {row["metric"]: row for row in result.results["scores"]}
    assert set(rows) == {"within_tolerance", "pearson", "spearman"}
    assert rows["pearson"]["low"] <= rows["pearson"]["value"] <= rows["pearson"]["high"]
    assert json.dumps(result.results, allow_nan=False)


def test_questions_with_variants_have_the_score_of_their_worst(places, tmp_path):
    """Each question comes twice: with the context that its answer is from, and with a second sentence after it."""
    rows = []
    for number, row in enumerate(KINDS["question"][2]):
        context = f"{row['context']} {TEXTS[number - 7]}"
        rows += [{**row, "id": f"q{number}"}, {**row, "id": f"q{number}-turk0", "context": context}]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    folder = tmp_path / "out"
    result = measured(places, "question", suites=[f"squad_addsent={file}"], attacks=["none"], output_dir=str(folder))
    (kept,) = folder.glob("rows/*/*/clean.jsonl")
    scores = {line["row"]: line["scores"] for line in map(json.loads, kept.read_text().splitlines())}
    for metric in ("f1", "exact_match"):
        worst = [min(scores[2 * number + 1][metric], scores[2 * number + 2][metric]) for number in range(24)]
        assert result.score(f"worst_{metric}") == pytest.approx(sum(worst) / 24)
    assert result.score("worst_f1") < result.score("f1")
