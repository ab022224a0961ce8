import numpy as np
import pytest
import torch
from datasets import Dataset
from scipy.stats import rankdata
from transformers.modeling_outputs import SequenceClassifierOutput

from alum.core.errors import InputError
from alum.data.table import Table
from alum.tasks.kinds.regression import REGRESSION, RegressionSupervision, within_tolerance
from alum.tasks.layout import Layout
from alum.tasks.rows import TaskRows
from tiny_models import classifier, token_batch

SUPERVISION = RegressionSupervision()
LAYOUT = Layout(text=("text",))
LOGITS = np.array([[0.1], [0.4], [0.3], [2.0]])
LABELS = [0.0, 0.5, 1.0, 1.5]


def table(labels):
    return Table.of(Dataset.from_dict({"text": ["some words"] * len(labels), "label": labels}), "rows.jsonl")


def scores(logits, labels):
    rows = table(labels)
    return SUPERVISION.score(
        SUPERVISION.predict(np.array(logits), rows.rows, TaskRows(rows, LAYOUT)), TaskRows(rows, LAYOUT)
    )


def test_a_prediction_is_a_number():
    rows = table(LABELS)
    assert SUPERVISION.predict(LOGITS, rows.rows, TaskRows(rows, LAYOUT)) == [0.1, 0.4, 0.3, 2.0]


def test_scores_are_the_textbooks():
    flat = LOGITS[:, 0]
    assert scores(LOGITS, LABELS) == {
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
    assert scores(predictions, labels) == {"mse": 1.0, "pearson": 0.0, "spearman": 0.0}


@pytest.mark.parametrize(("labels", "row"), [([1.0, float("nan")], 2), (["much", "little"], 1)])
def test_a_label_that_is_no_number_names_file_and_row(labels, row):
    with pytest.raises(InputError, match=rf"rows\.jsonl, row {row}: label .* in column 'label' is no number"):
        SUPERVISION.score([0.0, 0.0], TaskRows(table(labels), LAYOUT))


def test_the_distance_is_squared_error_per_example():
    outputs = [SequenceClassifierOutput(logits=torch.tensor(rows)) for rows in ([[1.0], [2.0]], [[0.0], [5.0]])]
    compared = [REGRESSION.compared(output, {}) for output in outputs]
    assert REGRESSION.distance(*compared).tolist() == [1.0, 9.0]


def test_row_scores_are_squared_errors():
    rows = table(LABELS)
    found = SUPERVISION.row_scores([0.1, 0.4, 0.3, 2.0], TaskRows(rows, LAYOUT))
    assert found == {"squared_error": pytest.approx([0.01, 0.01, 0.49, 0.25])}
    assert np.mean(found["squared_error"]) == pytest.approx(scores(LOGITS, LABELS)["mse"])


def test_an_error_as_large_as_the_tolerance_is_within_it():
    errors = [0.0, 0.5, -0.5, 0.51, -2.0]
    assert within_tolerance([error**2 for error in errors], 0.5) == [1, 1, 1, 0, 0]


def test_example_losses_have_the_models_own_loss_as_their_mean():
    model = classifier(dropout=0.0, num_labels=1, problem_type="regression")
    inputs = {**token_batch(), "labels": torch.tensor([0.5, 3.0])}
    outputs = model(**inputs)
    losses = REGRESSION.example_losses(outputs, inputs)
    assert losses.shape == (2,)
    torch.testing.assert_close(losses.mean(), outputs.loss)
