import numpy as np
import pytest
import torch
from scipy.stats import rankdata
from transformers.modeling_outputs import SequenceClassifierOutput

from alum.tasks.regression import REGRESSION

PREDICTIONS = np.array([[0.1], [0.4], [0.3], [2.0]])
LABELS = np.array([0.0, 0.5, 1.0, 1.5])


def test_metrics_are_the_textbooks():
    metrics = REGRESSION.metrics(PREDICTIONS, LABELS)
    flat = PREDICTIONS[:, 0]
    assert metrics == {
        "mse": pytest.approx((0.01 + 0.01 + 0.49 + 0.25) / 4),
        "pearson": pytest.approx(np.corrcoef(flat, LABELS)[0, 1]),
        "spearman": pytest.approx(np.corrcoef(rankdata(flat), rankdata(LABELS))[0, 1]),
    }


@pytest.mark.parametrize(
    ("predictions", "labels"),
    [
        pytest.param([[1.0]], [2.0], id="one row"),
        pytest.param([[1.0], [1.0]], [0.0, 2.0], id="constant predictions"),
        pytest.param([[0.0], [2.0]], [1.0, 1.0], id="constant labels"),
    ],
)
def test_where_no_correlation_is_defined_it_is_zero(predictions, labels):
    assert REGRESSION.metrics(np.array(predictions), np.array(labels)) == {"mse": 1.0, "pearson": 0.0, "spearman": 0.0}


def test_the_distance_is_squared_error_per_example():
    outputs = [SequenceClassifierOutput(logits=torch.tensor(rows)) for rows in ([[1.0], [2.0]], [[0.0], [5.0]])]
    compared = [REGRESSION.compared(output, {}) for output in outputs]
    assert REGRESSION.distance(*compared).tolist() == [1.0, 9.0]
