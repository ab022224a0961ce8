import numpy as np
import pandas
import pytest
import torch

from alum.core.errors import InputError
from alum.models.text_function import TextFunction


def by_length(texts):
    """Probabilities that follow from the length of a text, in hundredths."""
    share = np.array([len(text) / 100 for text in texts])
    return np.column_stack([1 - share, share])


def test_texts_are_asked_about_in_batches_and_answered_in_their_order():
    asked = []

    def function(texts):
        asked.append(texts)
        return by_length(texts)

    found = TextFunction(function).probabilities([("a",), ("bbb",), ("cc",)], batch_size=2)
    assert asked == [["a", "bbb"], ["cc"]]
    assert found.tolist() == [[0.99, 0.01], [0.97, 0.03], [0.98, 0.02]]


def test_a_pair_is_a_tuple():
    asked = []
    TextFunction(lambda pairs: asked.extend(pairs) or [[0.5, 0.5]]).probabilities([("premise", "hypothesis")])
    assert asked == [("premise", "hypothesis")]


@pytest.mark.parametrize(
    "form",
    [
        list,
        torch.tensor,
        lambda rows: torch.tensor(rows, requires_grad=True),
        lambda rows: torch.tensor(rows, dtype=torch.bfloat16),
        pandas.DataFrame,
    ],
    ids=["lists", "tensor", "with gradients", "bf16", "frame"],
)
def test_any_framework_will_do(form):
    found = TextFunction(lambda texts: form([[0.25, 0.75] for _ in texts])).probabilities([("a",), ("b",)])
    assert found.dtype == np.float64
    assert found.tolist() == [[0.25, 0.75]] * 2


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([0.5, 0.5], r"shape \[2\] for 2 texts: expected probabilities \[texts, labels\]"),
        ([[0.5, 0.5]], r"shape \[1, 2\] for 2 texts"),
        ([[1.0], [1.0]], r"shape \[2, 1\] for 2 texts"),
        ([[2.0, -1.0], [0.5, 0.5]], r"no probabilities, such as \[2\.0, -1\.0\].*Of logits take the softmax first"),
        ([[0.5, 0.6], [0.5, 0.5]], "add up to 1"),
        ([[float("nan"), 0.5], [0.5, 0.5]], "no probabilities"),
        ([[0.2, 0.3, 0.5]] * 2, "returned 3 columns, but the labels are bad, good"),
        ([[0.2, 0.8], [1.0]], "returned list: expected probabilities"),
        ([{"label": "good", "score": 0.9}] * 2, "returned list: expected probabilities"),
    ],
)
def test_an_answer_that_is_no_probability_for_each_label_is_refused(answer, message):
    with pytest.raises(InputError, match=message):
        TextFunction(lambda texts: answer, ("bad", "good")).probabilities([("a",), ("b",)])
