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


@pytest.mark.parametrize("mask", [[[1, 1, 1], [1, 0, 0]], [[0, 1, 1], [0, 0, 1]], [[0, 0], [1, 1]]])
def test_padded_sequences_are_one_row_of_their_tokens(mask):
    mask = torch.tensor(mask).bool()
    packed, values = PackedRows.of_mask(mask), torch.randn(*mask.shape, 2)
    row = packed.together(values)
    torch.testing.assert_close(row, values[mask][None], rtol=0, atol=0)
    torch.testing.assert_close(packed.apart(row), values * mask[..., None], rtol=0, atol=0)
    assert [[place for place in places if place >= 0] for places in packed.table.tolist()] == [
        list(range(end - length, end)) for end, length in zip(mask.sum(1).cumsum(0), mask.sum(1), strict=True) if length
    ]
    assert (packed.table[:, 0] >= 0).all()  # from left to right, whichever side the padding was on


def test_a_table_is_the_rows_again():
    packed = PackedRows.of_positions(positions((3, 2, 4), (5, 4)))
    values, again = torch.randn(2, 9, 2), PackedRows.of_table(packed.table, 2, 9)
    torch.testing.assert_close(again.apart(values), packed.apart(values), rtol=0, atol=0)
    torch.testing.assert_close(again.together(packed.apart(values)), values, rtol=0, atol=0)


def test_documents_begin_where_their_number_changes():
    packed = PackedRows.of_documents(torch.tensor([[1, 1, 2, 0], [2, 2, 2, 3]]))
    assert packed.table.tolist() == [[0, 1, -1], [2, -1, -1], [3, -1, -1], [4, 5, 6], [7, -1, -1]]


@pytest.mark.parametrize("rows", [[(3, 2, 4)], [(2, 3), (4, 1)]])
def test_gradients_of_every_order_go_the_same_way(rows):
    packed = PackedRows.of_positions(positions(*rows))
    values = torch.randn(len(rows), sum(rows[0]), 2, dtype=torch.float64, requires_grad=True)
    for move in (packed.apart, lambda rows: packed.together(packed.apart(rows))):
        assert torch.autograd.gradcheck(move, values)
        assert torch.autograd.gradgradcheck(lambda rows, move=move: move(rows).square(), values)


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
