import pytest
import torch

from alum.core.errors import InputError
from alum.evaluation.label_names import LabelMapping

LOGITS = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("labels", [(0, 1, 1, 1), (1, 1, 0, 0), (2, 0, 1, 1), (3, 1, 0, 2)])
def test_the_likeliest_label_is_that_of_the_likeliest_output(labels):
    joined = LabelMapping(labels, max(labels) + 1).joined(LOGITS)
    assert joined.shape == (50, max(labels) + 1)
    assert joined.argmax(-1).tolist() == [labels[output] for output in LOGITS.argmax(-1)]


def test_an_output_that_is_no_answer_is_passed_over():
    joined = LabelMapping((0, -1, 1, -1), 2).joined(LOGITS)
    torch.testing.assert_close(joined, LOGITS[:, [0, 2]], rtol=0, atol=0)


def test_the_same_labels_in_the_same_order_are_left_alone():
    assert LabelMapping((0, 1, 2, 3), 4).joined(LOGITS) is LOGITS


def test_leading_dimensions_stay():
    several = LOGITS.view(5, 10, 4)
    mapping = LabelMapping((0, 1, 1, 0), 2)
    torch.testing.assert_close(mapping.joined(several)[3, 7], mapping.joined(LOGITS[37]))


def test_gradients_go_to_the_largest_output_of_each_label():
    logits = torch.tensor([[1.0, 3.0, 2.0]], requires_grad=True)
    LabelMapping((1, 0, 0), 2).joined(logits).mul(torch.tensor([10.0, 1.0])).sum().backward()
    assert logits.grad.tolist() == [[1.0, 10.0, 0.0]]


@pytest.mark.parametrize("labels", [(0, 1), (0, 0, 0, 0), (0, 1, 2, 1), (0, 1, -2, 1)])
def test_labels_that_do_not_fit_are_refused(labels):
    with pytest.raises(InputError, match=r"evaluate a model that can give every label|map every output"):
        LabelMapping(labels, 2).joined(LOGITS)
