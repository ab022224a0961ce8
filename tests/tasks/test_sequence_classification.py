import numpy as np
import pytest
import torch
from transformers.modeling_outputs import SequenceClassifierOutput

from alum.core.divergences import bernoulli_symmetric_kl, symmetric_kl
from alum.tasks.sequence_classification import MULTI_LABEL_CLASSIFICATION, SEQUENCE_CLASSIFICATION


def test_accuracy_and_macro_f1_by_hand():
    # Predicted 0 0 1 1, truly 0 1 1 1: F1 is 2/3 for class 0 and 4/5 for class 1.
    logits = np.array([[2.0, 1.0], [3.0, 0.0], [-1.0, 1.0], [0.0, 0.1]])
    metrics = SEQUENCE_CLASSIFICATION.metrics(logits, np.array([0, 1, 1, 1]))
    assert metrics == {"accuracy": 3 / 4, "f1_macro": pytest.approx((2 / 3 + 4 / 5) / 2)}


def test_multi_label_metrics_by_hand():
    # Of 3 true labels 2 are found, beside 1 that is false; one of two rows is right throughout.
    logits = np.array([[5.0, -1.0, 2.0], [-1.0, 0.5, -3.0]])
    labels = np.array([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    metrics = MULTI_LABEL_CLASSIFICATION.metrics(logits, labels)
    assert metrics == {"accuracy": 1 / 2, "f1_micro": pytest.approx(2 * 2 / (3 + 3))}


@pytest.mark.parametrize(
    ("kind", "divergence"),
    [(SEQUENCE_CLASSIFICATION, symmetric_kl), (MULTI_LABEL_CLASSIFICATION, bernoulli_symmetric_kl)],
)
def test_logits_are_compared_by_the_divergence_of_their_distribution(kind, divergence):
    logits = torch.randn(2, 3)
    assert kind.compared(SequenceClassifierOutput(logits=logits), {}) is logits
    assert kind.distance is divergence
