import pytest
from datasets import Dataset

from alum.core.errors import InputError
from alum.data.table import Table


def table(**columns):
    return Table.of(Dataset.from_dict(columns), "rows.jsonl")


@pytest.mark.parametrize("missing", [None, -1, "", "-1"])
def test_rows_without_a_label_are_left_out_and_the_others_keep_their_numbers(missing):
    label = ["good", missing, "bad"] if isinstance(missing, str) else [1, missing, 0]
    labelled = table(text=["a", "b", "c"], label=label).labelled("label")
    assert labelled.column("text") == ["a", "c"]
    assert list(labelled.numbers) == [1, 3]


def test_a_label_of_zero_is_a_label():
    assert len(table(label=[0, 0]).labelled("label")) == 2


def test_no_labelled_row_at_all_is_refused():
    with pytest.raises(InputError, match=r"rows\.jsonl has no labelled rows: column 'label'"):
        table(label=[-1, -1]).labelled("label")


def test_a_text_that_is_none_is_refused_with_its_row():
    rows = table(text=["a", None, "c", None], label=[0, -1, 1, 0])
    with pytest.raises(InputError, match=r"rows\.jsonl, row 2: column 'text' must be text, not None"):
        rows.texts("text")
    # The unlabelled second row is gone; the fourth is still the fourth of the file.
    with pytest.raises(InputError, match=r"rows\.jsonl, row 4"):
        rows.labelled("label").texts("text")


@pytest.mark.parametrize(("count", "expected"), [(None, 3), (2, 2), (9, 3)])
def test_the_first_rows_are_as_many_as_there_are(count, expected):
    assert len(table(text=["a", "b", "c"]).first(count)) == expected
