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
from alum.evaluation.attacked.kinds import attackable_rows, may_abstain_on, scores_of, victim_for
from alum.tasks.base import Layout
from alum.tasks.kinds.language_modeling import CAUSAL_LM
from alum.tasks.kinds.multiple_choice import MULTIPLE_CHOICE
from alum.tasks.kinds.question_answering import QUESTION_ANSWERING
from alum.tasks.kinds.regression import REGRESSION
from alum.tasks.kinds.sequence_classification import SEQUENCE_CLASSIFICATION
from alum.tasks.kinds.token_classification import TOKEN_CLASSIFICATION
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


def case(name, tokenizer, **settings):
    kind, layout, rows = KINDS[name]
    model = model_of(name, tokenizer)
    table = Table.of(Dataset.from_list(rows), "rows")
    if kind is SEQUENCE_CLASSIFICATION:  # mean logits that are all the same, so that answers can be turned
        probs = victim_for(kind, model, tokenizer, LENGTH)([tuple(row[c] for c in layout.text) for row in rows])
        with torch.no_grad():
            model.classifier.bias -= torch.tensor(np.log(probs).mean(0), dtype=torch.float32)
    return kind, layout, table, model, victim_for(kind, model, tokenizer, LENGTH, 5, **settings)


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
    kind, layout, table, model, victim = case(name, tokenizer)
    features = kind.supervision.encode(table, layout, tokenizer, LENGTH)
    own = outputs_one_by_one(kind, model, tokenizer, features)
    predictions = kind.supervision.predict(own, features, table, layout)
    expected = kind.supervision.row_scores(predictions, table, layout)
    if kind is REGRESSION:
        within = [abs(p - row["label"]) <= 0.5 for p, row in zip(predictions, table.rows, strict=True)]
        expected = {"within_tolerance": list(map(float, within))}
    rows = attackable_rows(kind, table, layout, tolerance=0.5)
    outputs = victim([row.example for row in rows])
    found = [scores_of(kind, tuple(map(float, o)), row.goal) for o, row in zip(outputs, rows, strict=True)]
    for metric, values in expected.items():
        assert [scores[metric] for scores in found] == pytest.approx(values)
    main = next(iter(expected))
    if kind is not QUESTION_ANSWERING:
        assert 0 < np.mean(expected[main]) < 1  # or right and wrong were not told apart


@pytest.mark.parametrize("name", ["sentence", "pair", "choice"])
def test_outputs_are_the_softmax_of_the_logits(name, tokenizer):
    kind, layout, table, model, victim = case(name, tokenizer)
    features = kind.supervision.encode(table, layout, tokenizer, LENGTH)
    own = outputs_one_by_one(kind, model, tokenizer, features)
    expected = np.exp(own) / np.exp(own).sum(-1, keepdims=True)
    found = victim([row.example for row in attackable_rows(kind, table, layout, 0.5)])
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_regressor_gives_its_number(tokenizer):
    kind, layout, table, model, victim = case("regression", tokenizer)
    features = kind.supervision.encode(table, layout, tokenizer, LENGTH)
    own = outputs_one_by_one(kind, model, tokenizer, features)
    np.testing.assert_allclose(
        victim([row.example for row in attackable_rows(kind, table, layout, 0.5)]), own, atol=1e-6
    )


def test_finer_outputs_are_joined(tokenizer):
    kind, _, _, model, _ = case("pair", tokenizer)
    victim = victim_for(kind, model, tokenizer, LENGTH, 5, (1, 0, 1), 2)
    rows = [(TEXTS[0], TEXTS[1]), (TEXTS[2], TEXTS[3])]
    features = [tokenizer(*row, return_tensors="pt") for row in rows]
    with torch.no_grad():
        logits = np.stack([model(**inputs).logits[0].numpy() for inputs in features])
    joined = np.stack([logits[:, 1], np.maximum(logits[:, 0], logits[:, 2])], axis=-1)
    np.testing.assert_allclose(victim(rows), np.exp(joined) / np.exp(joined).sum(-1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "attacked", "goal", "example"),
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
def test_rows_as_an_attack_takes_them(name, attacked, goal, example, tokenizer):
    kind, layout, table, *_ = case(name, tokenizer)
    row = attackable_rows(kind, table, layout, tolerance=0.25)[1]
    assert (row.example, row.goal, row.attacked_texts) == (example, goal, attacked)


@pytest.mark.parametrize("name", KINDS)
def test_deepwordbug_on_every_kind(name, tokenizer):
    kind, layout, table, _, victim = case(name, tokenizer)
    table = table.first(8 if kind is QUESTION_ANSWERING else None)
    rows = attackable_rows(kind, table, layout, tolerance=0.5)
    clean = victim([row.example for row in rows])
    if kind is QUESTION_ANSWERING:  # a model that is right: what it says is taken for right
        rows = [
            dataclasses.replace(row, example=(*row.example[:2], text)) if text else row
            for row, text in zip(rows, spoken(kind, layout, table, victim, tokenizer), strict=True)
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
        before = scores_of(kind, result.clean_outputs, row.goal)
        after = scores_of(kind, result.adversarial_outputs, row.goal)
        main = next(iter(before))
        np.testing.assert_allclose(result.clean_outputs, clean[number], atol=1e-6)
        assert (result.outcome == "skipped") == (before[main] == 0)
        if result.outcome != "skipped":
            assert (result.outcome == "succeeded") == (after[main] == 0)
            loss = [row.goal.loss(np.array([o]))[0] for o in (result.clean_outputs, result.adversarial_outputs)]
            assert loss[1] >= loss[0] - 1e-9 or result.outcome == "succeeded"
            np.testing.assert_allclose(victim([result.perturbed])[0], result.adversarial_outputs, atol=1e-6)
        (attacked,) = row.attacked_texts
        kept = [i for i in range(len(row.example)) if i != attacked % len(row.example)]
        assert [result.perturbed[i] for i in kept] == [row.example[i] for i in kept]
    assert "succeeded" in outcomes


def spoken(kind, layout, table, victim, tokenizer):
    features = kind.supervision.encode(table, layout, tokenizer, LENGTH)
    own = outputs_one_by_one(kind, victim.model, tokenizer, features)
    return kind.supervision.predict(own, features, table, layout)


def test_what_is_asked_twice_is_answered_once(tokenizer):
    for name in KINDS:
        kind, layout, table, _, victim = case(name, tokenizer)
        examples = [row.example for row in attackable_rows(kind, table, layout, 0.5)][:3]
        first = victim(examples)
        asked = victim.cache.num_asked
        np.testing.assert_array_equal(victim([*examples, examples[1]])[:3], first)
        assert victim.cache.num_asked == asked == 3


def test_unanswerable_questions_are_told_from_the_table(tokenizer):
    kind, layout, table, *_ = case("question", tokenizer)
    assert not may_abstain_on(kind, table, layout)
    rows = [*table.rows, {**table.rows[0], "answers": {"text": [], "answer_start": []}}]
    assert may_abstain_on(kind, Table.of(Dataset.from_list(rows), "rows"), layout)


@pytest.mark.parametrize("kind", [TOKEN_CLASSIFICATION, CAUSAL_LM], ids=lambda kind: kind.name)
def test_kinds_that_no_attack_fits(kind, tokenizer):
    table = Table.of(Dataset.from_dict({"a": ["x"], "label": [0]}), "rows")
    with pytest.raises(InputError, match=f"not for {kind.name}"):
        victim_for(kind, model_of("sentence", tokenizer), tokenizer, LENGTH)
    with pytest.raises(InputError, match=f"not for {kind.name}"):
        attackable_rows(kind, table, Layout(text=("a",)), 0.5)
