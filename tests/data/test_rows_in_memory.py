import numpy as np
import pandas
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from alum.core.errors import InputError
from alum.data.rows_in_memory import dataset_of, is_rows

ROWS = [{"text": "one", "label": 0}, {"text": "two", "label": 1}]


@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        tuple(ROWS),
        Dataset.from_list(ROWS),
        pandas.DataFrame(ROWS, index=[7, 3]),
        [{"text": "one", "label": np.int64(0)}, {"text": "two", "label": np.int64(1)}],
    ],
    ids=["list", "tuple", "Dataset", "frame", "numpy"],
)
def test_every_form_is_the_same_table(rows):
    assert is_rows(rows)
    assert dataset_of(rows, "rows").to_list() == ROWS


def test_a_key_that_a_row_lacks_is_an_empty_cell_wherever_it_comes_first():
    found = dataset_of([{"a": 1}, {"a": 2, "b": "x"}], "rows")
    assert found.to_list() == [{"a": 1, "b": None}, {"a": 2, "b": "x"}]


def test_a_dataset_keeps_its_features_and_gives_plain_values_whatever_its_format():
    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    given = Dataset.from_list(ROWS, features=features).with_format("numpy")
    found = dataset_of(given, "rows")
    assert found.features == features
    assert type(found["label"][0]) is int
    assert given.format["type"] == "numpy"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("text", "rows must be a datasets.Dataset, a pandas data frame or a list of dictionaries, one a row, not str"),
        (7, "not int"),
        ([["one", 0]], "not list"),
        ({"text": ["one"]}, "not dict"),
        (Dataset.from_list(ROWS).to_iterable_dataset(), r"not IterableDataset\. Take some of a stream first"),
        ([], "rows: there are no rows"),
        (pandas.DataFrame(), "rows: there are no rows"),
        ([{"text": "one"}, {"text": 2}], "rows cannot be made a table"),
    ],
)
def test_what_is_no_rows_is_refused_with_what_is_expected(rows, message):
    with pytest.raises(InputError, match=message):
        dataset_of(rows, "rows")
