import numpy as np
import pytest
import torch
import torch.nn.functional as F
from datasets import Dataset
from transformers.modeling_outputs import SequenceClassifierOutput

from alum.core.divergences import bernoulli_symmetric_kl, symmetric_kl
from alum.core.errors import InputError
from alum.data.table import Table
from alum.tasks.kinds.sequence_classification import (
    MULTI_LABEL_CLASSIFICATION,
    SEQUENCE_CLASSIFICATION,
    ClassificationSupervision,
)
from alum.tasks.layout import Layout
from alum.tasks.lookup import kind_of
from alum.tasks.rows import TaskRows
from tiny_models import classifier, token_batch

SUPERVISION = ClassificationSupervision()
LAYOUT = Layout(text=("text",), label_names=("bad", "good"))


def table(labels):
    return Table.of(Dataset.from_dict({"text": ["some words"] * len(labels), "label": labels}), "rows.jsonl")


def test_scores_by_hand():
    # Predicted 0 0 1 1, truly 0 1 1 1: F1 is 2/3 for class 0 and 4/5 for class 1. Matthews from the four counts:
    # (2·1 - 0·1) / √((2+0)(2+1)(1+0)(1+1)) = 2 / √12.
    logits = np.array([[2.0, 1.0], [3.0, 0.0], [-1.0, 1.0], [0.0, 0.1]])
    rows = table([0, 1, 1, 1])
    predictions = SUPERVISION.predict(logits, None, TaskRows(rows, LAYOUT))
    assert predictions == ["bad", "bad", "good", "good"]
    assert SUPERVISION.score(predictions, TaskRows(rows, LAYOUT)) == pytest.approx(
        {
            "accuracy": 3 / 4,
            "f1": 4 / 5,
            "f1_macro": (2 / 3 + 4 / 5) / 2,
            "matthews_correlation": 2 / 12**0.5,
        }
    )


def test_labels_are_integers_or_names():
    assert SUPERVISION.score(["bad", "good"], TaskRows(table(["bad", "good"]), LAYOUT))["accuracy"] == 1
    assert SUPERVISION.label_names(TaskRows(table(["x", "b", "x"]), LAYOUT)) == ("b", "x")
    assert SUPERVISION.label_names(TaskRows(table([0, 2, 1]), LAYOUT)) == ("0", "1", "2")


def test_a_label_outside_the_list_names_file_and_row():
    rows = table([-1, 0, 5]).labelled("label")
    with pytest.raises(InputError, match=r"rows\.jsonl, row 3: label 5 .* 0 \(bad\), 1 \(good\)"):
        SUPERVISION.score(["bad", "bad"], TaskRows(rows, LAYOUT))


@pytest.mark.parametrize(
    ("kind", "divergence"),
    [(SEQUENCE_CLASSIFICATION, symmetric_kl), (MULTI_LABEL_CLASSIFICATION, bernoulli_symmetric_kl)],
)
def test_logits_are_compared_by_the_divergence_of_their_distribution(kind, divergence):
    logits = torch.randn(2, 3)
    assert kind.compared(SequenceClassifierOutput(logits=logits), {}) is logits
    assert kind.distance is divergence


def test_row_scores_are_what_scikit_learn_takes_the_mean_of():
    rows, found = table([0, 1, 1, 0]), ["bad", "bad", "good", "good"]
    scores = SUPERVISION.row_scores(found, TaskRows(rows, LAYOUT))
    assert scores == {"accuracy": [1.0, 0.0, 1.0, 0.0]}
    assert np.mean(scores["accuracy"]) == SUPERVISION.score(found, TaskRows(rows, LAYOUT))["accuracy"]


@pytest.mark.parametrize("problem_type", ["single_label_classification", "multi_label_classification"])
def test_the_softplus_of_example_losses_has_the_models_own_loss_as_its_mean(problem_type):
    several = problem_type.startswith("multi")
    model = classifier(dropout=0.0, num_labels=3, problem_type=problem_type)
    labels = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]) if several else torch.tensor([2, 0])
    inputs = {**token_batch(), "labels": labels}
    outputs = model(**inputs)
    losses = kind_of(model).example_losses(outputs, inputs)
    assert losses.shape == (2,)
    # With several labels it is the sum over them, and the model's loss the mean.
    torch.testing.assert_close(F.softplus(losses).mean() / (3 if several else 1), outputs.loss)
