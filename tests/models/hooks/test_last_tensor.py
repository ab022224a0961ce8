import copy
import gc
import pickle

import torch

from alum.models.hooks.last_tensor import OfLastTensor


def counted():
    calls = []
    return OfLastTensor(lambda tensor: calls.append(tensor.tolist()) or tensor.nonzero()), calls


def test_the_same_tensor_is_looked_at_once():
    rows, calls = counted()
    mask = torch.tensor([True, False])
    assert rows(mask) is rows(mask)
    assert len(calls) == 1


def test_what_was_written_to_and_another_one_of_the_same_values_are_looked_at_again():
    rows, calls = counted()
    mask = torch.tensor([True, False])
    rows(mask)
    mask[1] = True
    assert len(rows(mask)) == 2
    rows(mask.clone())
    assert len(calls) == 3


def test_a_tensor_that_is_gone_is_not_taken_for_a_new_one_in_its_place():
    rows, calls = counted()
    for number in range(20):
        mask = torch.arange(5) == number % 5
        assert rows(mask).item() == number % 5
        del mask
        gc.collect()
    assert len(calls) == 20


def test_tensors_of_inference_are_looked_at_each_time():
    rows, calls = counted()
    with torch.inference_mode():
        mask = torch.tensor([True, False])
        rows(mask)
        mask[1] = True
        assert len(rows(mask)) == 2
    assert len(calls) == 2


def test_what_is_made_in_inference_mode_is_no_part_of_a_later_graph():
    rows = OfLastTensor(torch.nonzero)
    mask = torch.tensor([True, False])
    with torch.inference_mode():
        rows(mask)
    weights = torch.ones(2, requires_grad=True)
    weights[rows(mask)].sum().backward()
    assert weights.grad.tolist() == [1.0, 0.0]


def test_a_copy_has_seen_nothing():
    rows = OfLastTensor(torch.nonzero)
    mask = torch.tensor([True, False])
    found = rows(mask)
    for other in (copy.deepcopy(rows), pickle.loads(pickle.dumps(rows))):
        assert other(mask) is not found
        assert torch.equal(other(mask), found)
