import pytest
import torch

from alum.models.hooks.packed_rows import PackedRows, packed_rows


def positions(*rows):
    return torch.tensor([[position for length in lengths for position in range(length)] for lengths in rows])


@pytest.mark.parametrize("rows", [[(3, 2, 4)], [(1, 1, 1)], [(2, 3), (4, 1)], [(5,), (5,)]])
def test_sequences_are_set_apart_and_put_together_again(rows):
    values = torch.randn(len(rows), sum(rows[0]), 2)
    packed = PackedRows.of_positions(positions(*rows))
    flat = [length for lengths in rows for length in lengths]
    expected = torch.nn.utils.rnn.pad_sequence(values.flatten(0, 1).split(flat), batch_first=True)
    torch.testing.assert_close(packed.apart(values), expected, rtol=0, atol=0)
    torch.testing.assert_close(packed.together(expected), values, rtol=0, atol=0)
    assert packed.mask.tolist() == [[i < length for i in range(max(flat))] for length in flat]


def test_a_row_that_begins_inside_a_sequence_is_one_of_its_own():
    packed = PackedRows.of_positions(torch.tensor([[4, 5, 0, 1]]))
    assert packed.mask.sum(1).tolist() == [2, 2]


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"position_ids": torch.arange(4).view(1, 4)},
        {"position_ids": positions((2, 2)), "attention_mask": torch.ones(1, 4)},
        {"position_ids": positions((2, 2)).expand(3, 1, 4)},
    ],
    ids=["no positions", "one sequence", "with padding", "positions of several axes"],
)
def test_other_rows_are_sequences_themselves(inputs):
    assert packed_rows(inputs) is None
