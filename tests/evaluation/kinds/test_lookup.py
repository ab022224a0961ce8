"""Victims of every kind against the model's own outputs, through the supervision of its kind, and under attack."""

import dataclasses

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForMultipleChoice, AutoModelForQuestionAnswering

from alum.attacks.text.protocol import AnswerLost, Misclassified, OutsideTolerance
from alum.attacks.text.searches.settings import SearchSettings
from alum.attacks.text.searches.side_by_side import run_searches
from alum.attacks.text.table import TEXT_ATTACKS
from alum.core.errors import InputError
from alum.data.pretraining.tokenizer import train_wordpiece
from alum.data.table import Table
from alum.evaluation.kinds.lookup import attacked_kind
from alum.evaluation.label_names import LabelMapping
from alum.models.tokenization import Tokenization
from alum.tasks.kinds.language_modeling import CAUSAL_LM
from alum.tasks.kinds.multiple_choice import MULTIPLE_CHOICE
from alum.tasks.kinds.question_answering import QUESTION_ANSWERING
from alum.tasks.kinds.regression import REGRESSION
from alum.tasks.kinds.sequence_classification import SEQUENCE_CLASSIFICATION
from alum.tasks.kinds.token_classification import TOKEN_CLASSIFICATION
from alum.tasks.layout import Layout
from alum.tasks.lookup import SUPERVISED
from alum.tasks.rows import TaskRows
from text_models import evaluated, text_model
from tiny_models import classifier, headed
from tiny_texts import opinions

TEXTS = [row["text"] for row in opinions(24)]
LENGTH = 48


@pytest.fixture(scope="module")
def tokenizer():
    return train_wordpiece(TEXTS, 120, LENGTH)


def answered(number, context):
    """A right answer: two words from the context, which say which words they are."""
    text = " ".join(context.split()[1 + number % 4 : 3 + number % 4])
    return {"text": [text], "answer_start": [context.index(text)]}


KINDS = {
    "sentence": (
        SEQUENCE_CLASSIFICATION,
        Layout(text=("a",), label_names=("x", "y", "z")),
        [{"a": text, "label": i % 3} for i, text in enumerate(TEXTS)],
    ),
    "pair": (
        SEQUENCE_CLASSIFICATION,
        Layout(text=("a", "b"), label_names=("x", "y", "z")),
        [{"a": text, "b": TEXTS[-i], "label": i % 3} for i, text in enumerate(TEXTS)],
    ),
    "regression": (
        REGRESSION,
        Layout(text=("a", "b")),
        [{"a": text, "b": TEXTS[-i], "label": i / 12 - 1} for i, text in enumerate(TEXTS)],
    ),
    "choice": (
        MULTIPLE_CHOICE,
        Layout(text=("a", "start"), choices=("c", "d", "e")),
        [
            {"a": text, "start": "the", "c": TEXTS[-i], "d": TEXTS[i - 5], "e": "cat", "label": i % 3}
            for i, text in enumerate(TEXTS)
        ],
    ),
    "question": (
        QUESTION_ANSWERING,
        Layout(text=("a", "b"), label="answers"),
        [{"a": text, "b": TEXTS[-i] * 6, "answers": answered(i, TEXTS[-i] * 6)} for i, text in enumerate(TEXTS)],
    ),
}


def model_of(name, tokenizer):
    settings = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, "dropout": 0.3}
    kind = KINDS[name][0]
    if kind is MULTIPLE_CHOICE:
        return headed(AutoModelForMultipleChoice, **settings)
    if kind is QUESTION_ANSWERING:
        return headed(AutoModelForQuestionAnswering, **settings)
    return classifier(num_labels=1 if kind is REGRESSION else 3, **settings)


def case(name, tokenizer):
    """The kind as it is attacked, its rows, a model, and the model as a victim."""
    kind, layout, rows = KINDS[name]
    rows = TaskRows(Table.of(Dataset.from_list(rows), "rows"), layout)
    attacked, model = evaluated(kind), model_of(name, tokenizer)
    if kind is SEQUENCE_CLASSIFICATION:  # mean logits that are all the same, so that answers can be turned
        examples = [row.example for row in attacked.attackable_rows(rows, 0.5)]
        probs = attacked.victim(text_model(model, tokenizer, LENGTH), rows)(examples)
        with torch.no_grad():
            model.classifier.bias -= torch.tensor(np.log(probs).mean(0), dtype=torch.float32)
    return attacked, rows, model, attacked.victim(text_model(model, tokenizer, LENGTH, 5), rows)


def encoded(attacked, rows, tokenizer):
    return attacked.supervision.encode(rows, Tokenization(tokenizer, LENGTH))


def outputs_one_by_one(kind, model, tokenizer, features):
    """The model's outputs for each feature alone, without the labels."""
    names = [n for n in features.column_names if n in tokenizer.model_input_names]
    found = []
    for feature in features.to_list():
        inputs = {n: torch.tensor(feature[n])[None] for n in names} if kind is not MULTIPLE_CHOICE else None
        if inputs is None:
            padded = [tokenizer.pad({n: feature[n] for n in names}, return_tensors="pt")]
            inputs = {n: padded[0][n][None] for n in names}
        with torch.no_grad():
            outputs = model.eval()(**inputs)
        found.append(
            (outputs.start_logits[0].numpy(), outputs.end_logits[0].numpy())
            if kind is QUESTION_ANSWERING
            else outputs.logits[0].numpy()
        )
    return tuple(zip(*found, strict=True)) if kind is QUESTION_ANSWERING else np.stack(found)


@pytest.mark.parametrize("name", KINDS)
def test_scores_are_those_of_the_supervision(name, tokenizer):
    attacked, rows, model, victim = case(name, tokenizer)
    features = encoded(attacked, rows, tokenizer)
    own = outputs_one_by_one(attacked.supervision.kind, model, tokenizer, features)
    predictions = attacked.supervision.predict(own, features, rows)
    expected = attacked.supervision.row_scores(predictions, rows)
    if name == "regression":
        within = [abs(p - row["label"]) <= 0.5 for p, row in zip(predictions, rows.table.rows, strict=True)]
        expected = {"within_tolerance": list(map(float, within))}
    assert attacked.row_scores(predictions, rows, tolerance=0.5) == expected
    attackable = attacked.attackable_rows(rows, tolerance=0.5)
    outputs = victim([row.example for row in attackable])
    found = [attacked.attack_scores(tuple(map(float, o)), row.goal) for o, row in zip(outputs, attackable, strict=True)]
    for metric, values in expected.items():
        assert [scores[metric] for scores in found] == pytest.approx(values)
    main = next(iter(expected))
    if name != "question":
        assert 0 < np.mean(expected[main]) < 1  # or right and wrong were not told apart


@pytest.mark.parametrize("name", ["sentence", "pair", "choice"])
def test_outputs_are_the_softmax_of_the_logits(name, tokenizer):
    attacked, rows, model, victim = case(name, tokenizer)
    features = encoded(attacked, rows, tokenizer)
    own = outputs_one_by_one(attacked.supervision.kind, model, tokenizer, features)
    expected = np.exp(own) / np.exp(own).sum(-1, keepdims=True)
    found = victim([row.example for row in attacked.attackable_rows(rows, 0.5)])
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_regressor_gives_its_number(tokenizer):
    attacked, rows, model, victim = case("regression", tokenizer)
    features = encoded(attacked, rows, tokenizer)
    own = outputs_one_by_one(attacked.supervision.kind, model, tokenizer, features)
    np.testing.assert_allclose(victim([row.example for row in attacked.attackable_rows(rows, 0.5)]), own, atol=1e-6)


def test_finer_outputs_are_joined(tokenizer):
    attacked, table, model, _ = case("pair", tokenizer)
    victim = attacked.victim(text_model(model, tokenizer, LENGTH, 5), table, LabelMapping((1, 0, 1), 2))
    rows = [(TEXTS[0], TEXTS[1]), (TEXTS[2], TEXTS[3])]
    features = [tokenizer(*row, return_tensors="pt") for row in rows]
    with torch.no_grad():
        logits = np.stack([model(**inputs).logits[0].numpy() for inputs in features])
    joined = np.stack([logits[:, 1], np.maximum(logits[:, 0], logits[:, 2])], axis=-1)
    np.testing.assert_allclose(victim(rows), np.exp(joined) / np.exp(joined).sum(-1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "attacked_texts", "goal", "example"),
    [
        ("sentence", (-1,), Misclassified(1), (TEXTS[1],)),
        ("pair", (-1,), Misclassified(1), (TEXTS[1], TEXTS[-1])),
        ("regression", (-1,), OutsideTolerance(1 / 12 - 1, 0.25), (TEXTS[1], TEXTS[-1])),
        ("choice", (0,), Misclassified(1), (TEXTS[1], f"the {TEXTS[-1]}", f"the {TEXTS[-4]}", "the cat")),
        (
            "question",
            (0,),
            AnswerLost(),
            (TEXTS[1], TEXTS[-1] * 6, " ".join(TEXTS[-1].split()[2:4])),
        ),
    ],
)
def test_rows_as_an_attack_takes_them(name, attacked_texts, goal, example, tokenizer):
    attacked, rows, *_ = case(name, tokenizer)
    row = attacked.attackable_rows(rows, tolerance=0.25)[1]
    assert (row.example, row.goal, row.attacked_texts) == (example, goal, attacked_texts)


@pytest.mark.parametrize("name", KINDS)
def test_deepwordbug_on_every_kind(name, tokenizer):
    attacked, table, _, victim = case(name, tokenizer)
    table = table.first(8 if name == "question" else None)
    rows = attacked.attackable_rows(table, tolerance=0.5)
    clean = victim([row.example for row in rows])
    if name == "question":  # a model that is right: what it says is taken for right
        rows = [
            dataclasses.replace(row, example=(*row.example[:2], text)) if text else row
            for row, text in zip(rows, spoken(attacked, table, victim, tokenizer), strict=True)
        ]
        clean = victim([row.example for row in rows])
        assert (clean[:, 1] == 1).all()
    settings = SearchSettings(attacked_texts=rows[0].attacked_texts, max_queries=60)
    search = TEXT_ATTACKS["deepwordbug"].search(settings)
    searches = (search(row.example, row.goal, victim.characters_read(row.example)) for row in rows)
    outcomes = set()
    for number, result in run_searches(victim, searches, 4):
        row = rows[number]
        outcomes.add(result.outcome)
        before = attacked.attack_scores(result.clean_outputs, row.goal)
        after = attacked.attack_scores(result.adversarial_outputs, row.goal)
        main = next(iter(before))
        np.testing.assert_allclose(result.clean_outputs, clean[number], atol=1e-6)
        assert (result.outcome == "skipped") == (before[main] == 0)
        if result.outcome != "skipped":
            assert (result.outcome == "succeeded") == (after[main] == 0)
            loss = [row.goal.loss(np.array([o]))[0] for o in (result.clean_outputs, result.adversarial_outputs)]
            assert loss[1] >= loss[0] - 1e-9 or result.outcome == "succeeded"
            np.testing.assert_allclose(victim([result.perturbed])[0], result.adversarial_outputs, atol=1e-6)
        (changed,) = row.attacked_texts
        kept = [i for i in range(len(row.example)) if i != changed % len(row.example)]
        assert [result.perturbed[i] for i in kept] == [row.example[i] for i in kept]
    assert "succeeded" in outcomes


def spoken(attacked, rows, victim, tokenizer):
    features = encoded(attacked, rows, tokenizer)
    own = outputs_one_by_one(attacked.supervision.kind, victim.text_model.model, tokenizer, features)
    return attacked.supervision.predict(own, features, rows)


def test_what_is_asked_twice_is_answered_once(tokenizer):
    for name in KINDS:
        attacked, rows, _, victim = case(name, tokenizer)
        examples = [row.example for row in attacked.attackable_rows(rows, 0.5)][:3]
        first = victim(examples)
        asked = victim.cache.num_asked
        np.testing.assert_array_equal(victim([*examples, examples[1]])[:3], first)
        assert victim.cache.num_asked == asked == 3


def test_unanswerable_questions_are_told_from_the_rows(tokenizer):
    attacked, rows, model, victim = case("question", tokenizer)
    assert not victim.may_abstain
    more = [*rows.table.rows, {**rows.table.rows[0], "answers": {"text": [], "answer_start": []}}]
    more = dataclasses.replace(rows, table=Table.of(Dataset.from_list(more), "rows"))
    assert attacked.victim(text_model(model, tokenizer), more).may_abstain


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sentence", "y"),
        ("regression", f"{1 / 12 - 1:g}"),
        ("choice", "choice 2"),
        ("question", " ".join(TEXTS[-1].split()[2:4])),
    ],
)
def test_right_answers_in_words(name, words, tokenizer):
    attacked, rows, *_ = case(name, tokenizer)
    assert attacked.right_answers(rows)[1] == words


@pytest.mark.parametrize(
    ("name", "outputs", "answer"),
    [
        ("sentence", (0.25, 0.5, 0.25), ("y", {"x": 0.25, "y": 0.5, "z": 0.25})),
        ("regression", (0.12345,), ("0.123", None)),
        ("choice", (0.25, 0.25, 0.5), ("choice 3", None)),
        ("question", (1.5, 0.0, 0.75), ("an answer of F1 0.75", None)),
    ],
)
def test_a_models_answer_in_words(name, outputs, answer):
    assert evaluated(KINDS[name][0]).answer(outputs, KINDS[name][1].label_names) == answer


@pytest.mark.parametrize("kind", [TOKEN_CLASSIFICATION, CAUSAL_LM], ids=lambda kind: kind.name)
def test_kinds_that_no_attack_fits(kind):
    with pytest.raises(InputError, match=f"not for {kind.name}"):
        attacked_kind(SUPERVISED[kind.name])


@pytest.mark.parametrize("name", ["regression", "choice", "question"])
def test_only_classifiers_have_gradients_for_words(name, tokenizer):
    attacked, _, model, _ = case(name, tokenizer)
    assert not attacked.has_gradients
    with pytest.raises(InputError, match="choose an attack that needs none"):
        attacked.gradients(text_model(model, tokenizer))
