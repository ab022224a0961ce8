"""A function from texts to probabilities as a victim, and on rows: what it answers is derived by hand."""

import numpy as np
import pytest
from datasets import Dataset

from alum.core.errors import InputError
from alum.data.table import Table
from alum.evaluation.function_on_task import FunctionOnTask, FunctionVictim
from alum.evaluation.label_names import LabelMapping
from alum.models.text_function import TextFunction
from alum.tasks.kinds.sequence_classification import SEQUENCE_CLASSIFICATION
from alum.tasks.layout import Layout
from alum.tasks.rows import TaskRows
from text_models import evaluated


def three_labels(texts):
    """The share of a, of b and of all else in each text."""
    counts = [[text.count("a"), text.count("b"), len(text) - text.count("a") - text.count("b")] for text in texts]
    return np.array(counts) / np.array([[len(text)] for text in texts])


# The labels of the task are b, and what is no b: the largest of the other two stands for it.
B_OR_NOT = LabelMapping((1, 0, 1), num_labels=2)


def test_outputs_are_log_probabilities_in_the_tasks_labels():
    on_task = FunctionOnTask(TextFunction(three_labels), evaluated(SEQUENCE_CLASSIFICATION), B_OR_NOT)
    rows = TaskRows(Table.of(Dataset.from_dict({"text": ["aabx", "bbbx"]}), "rows"), Layout(text=("text",)))
    found = on_task.outputs(on_task.features(rows))
    np.testing.assert_allclose(found, np.log([[1 / 4, 2 / 4], [3 / 4, 1 / 4]]))


def test_a_victims_outputs_are_probabilities_of_these_labels_and_each_text_is_asked_about_once():
    asked = []

    def function(texts):
        asked.extend(texts)
        return three_labels(texts)

    victim = FunctionVictim(TextFunction(function), B_OR_NOT)
    found = victim([("aabx",), ("bbbx",), ("aabx",)])
    np.testing.assert_allclose(found, [[1 / 3, 2 / 3], [3 / 4, 1 / 4], [1 / 3, 2 / 3]])
    np.testing.assert_array_equal(victim([("bbbx",)]), found[1:2])
    assert sorted(asked) == ["aabx", "bbbx"]
    assert victim.characters_read(("aab", "")) == (3, 0)


def test_what_is_impossible_has_a_finite_logarithm():
    sure = TextFunction(lambda texts: [[1.0, 0.0] for _ in texts])
    found = FunctionVictim(sure, in_logits=True)([("a",)])
    assert np.isfinite(found).all()
    assert FunctionVictim(sure)([("a",)])[0].tolist() == pytest.approx([1.0, 0.0], abs=1e-300)


def test_columns_that_are_not_as_many_as_the_labels_are_refused():
    with pytest.raises(InputError, match=r"returned 3 columns for 2 labels.*label_names"):
        FunctionVictim(TextFunction(three_labels), LabelMapping((0, 1), 2))([("a",)])


def test_text_that_is_not_unicode_is_refused():
    with pytest.raises(InputError, match="expected text in UTF-8"):
        FunctionVictim(TextFunction(three_labels))([("\udcff",)])
