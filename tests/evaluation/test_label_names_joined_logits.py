import pytest
import torch

from alum.core.errors import InputError
from alum.evaluation.label_names import joined_logits

LOGITS = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("answers", [(0, 1, 1, 1), (1, 1, 0, 0), (2, 0, 1, 1), (3, 1, 0, 2)])
def test_the_likeliest_label_is_that_of_the_likeliest_output(answers):
    joined = joined_logits(LOGITS, answers, max(answers) + 1)
    assert joined.shape == (50, max(answers) + 1)
    assert joined.argmax(-1).tolist() == [answers[output] for output in LOGITS.argmax(-1)]


def test_an_output_that_is_no_answer_is_passed_over():
    joined = joined_logits(LOGITS, (0, -1, 1, -1), 2)
    torch.testing.assert_close(joined, LOGITS[:, [0, 2]], rtol=0, atol=0)


def test_the_same_labels_in_the_same_order_are_left_alone():
    assert joined_logits(LOGITS, (0, 1, 2, 3), 4) is LOGITS


def test_leading_dimensions_stay():
    several = LOGITS.view(5, 10, 4)
    torch.testing.assert_close(
        joined_logits(several, (0, 1, 1, 0), 2)[3, 7], joined_logits(LOGITS[37], (0, 1, 1, 0), 2)
    )


def test_gradients_go_to_the_largest_output_of_each_label():
    logits = torch.tensor([[1.0, 3.0, 2.0]], requires_grad=True)
    joined_logits(logits, (1, 0, 0), 2).mul(torch.tensor([10.0, 1.0])).sum().backward()
    assert logits.grad.tolist() == [[1.0, 10.0, 0.0]]


@pytest.mark.parametrize("answers", [(0, 1), (0, 0, 0, 0), (0, 1, 2, 1), (0, 1, -2, 1)])
def test_answers_that_do_not_fit_are_refused(answers):
    with pytest.raises(InputError, match=r"evaluate a model that can give every label|map every output"):
        joined_logits(LOGITS, answers, 2)
