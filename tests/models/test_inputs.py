import torch

from alum.models.inputs import labels_of_items, num_rows

IDS = torch.ones(3, 5, dtype=torch.long)


def test_items_are_the_labels_where_there_are_some():
    labels = torch.tensor([[1, -100], [-100, -100], [2, 3]])
    assert labels_of_items({"input_ids": IDS, "labels": labels}) is labels


def test_spans_count_by_their_start_where_that_is_inside():
    spans = {"start_positions": torch.tensor([4, 5, 0]), "end_positions": torch.tensor([4, 5, 2])}
    assert labels_of_items({"input_ids": IDS, **spans}).tolist() == [0, -100, 0]
    assert labels_of_items({"input_ids": IDS, "start_positions": spans["start_positions"].unsqueeze(-1)}).tolist() == [
        0,
        -100,
        0,
    ]


def test_under_another_name_each_row_counts_once():
    choices = torch.ones(3, 2, 5, dtype=torch.long)
    assert labels_of_items({"target": torch.tensor([1, 0, 1]), "input_ids": choices}).tolist() == [0, 0, 0]


def test_rows_are_counted_by_the_token_ids_or_else_by_the_first_tensor():
    assert num_rows({"scale": torch.tensor(2.0), "other": torch.ones(7), "input_ids": IDS}) == 3
    assert num_rows({"scale": torch.tensor(2.0), "name": "x", "other": torch.ones(7)}) == 7
