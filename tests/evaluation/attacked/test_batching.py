import numpy as np
import pytest
import torch

from alum.core.errors import InputError
from alum.evaluation.attacked.batching import as_outputs, check_finite, check_unicode, in_batches


@pytest.mark.parametrize("batch_size", [1, 2, 3, 10])
def test_batches_hold_similar_lengths_and_results_the_order_of_the_rows(batch_size):
    rows, batches = ["ccc", "a", "dddd", "bb", "e"], []

    def run(batch):
        batches.append(batch)
        return [row.upper() for row in batch]

    assert in_batches(rows, list(map(len, rows)), batch_size, run) == ["CCC", "A", "DDDD", "BB", "E"]
    assert [row for batch in batches for row in batch] == ["dddd", "ccc", "bb", "a", "e"]
    assert all(len(batch) <= batch_size for batch in batches)


def test_batches_of_some_size_end_before_shorter_rows():
    lengths, batches = [16] * 3 + [14] * 6 + [13] + [2] * 7 + [1] * 2, []

    def run(batch):
        batches.append(batch)
        return batch

    assert in_batches(lengths[::-1], lengths[::-1], 64, run) == lengths[::-1]
    # 14 is 7/8 of 16, 13 is less; the second batch has too few rows to end before one that is shorter.
    assert batches == [[16] * 3 + [14] * 6, [13] + [2] * 7, [1] * 2]


def test_outputs_are_float64():
    outputs = as_outputs(torch.tensor([0.5, 1.5], dtype=torch.bfloat16))
    assert outputs.dtype == np.float64
    assert outputs.tolist() == [0.5, 1.5]


def test_what_cannot_be_read_is_refused():
    check_unicode(("a", "\u00e9"))
    with pytest.raises(InputError, match="expected text in UTF-8"):
        check_unicode(("a", "b\udcff"))
    check_finite(torch.ones(2))
    with pytest.raises(InputError, match="not finite"):
        check_finite(torch.tensor([1.0, float("inf")]))
