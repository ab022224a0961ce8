import pytest

from alum.models.text_model import in_batches


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
