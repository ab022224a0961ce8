import json

import pytest
from datasets import Dataset

from alum.data.table import Table
from alum.models.tokenization import Tokenization
from alum.tasks.example_rows import EXAMPLE_ROWS
from alum.tasks.lookup import SUPERVISED
from alum.tasks.rows import TaskRows
from alum.tasks.sources import SOURCES
from tiny_tokenizers import wordpiece

TEXTS = [" ".join(map(str, row.values())) for row in EXAMPLE_ROWS.values()]


@pytest.mark.parametrize("source", SOURCES.values(), ids=lambda source: source.name)
def test_an_example_row_trains_as_a_row_of_its_data_set_would(source):
    row = json.loads(json.dumps(EXAMPLE_ROWS[source.name]))
    assert {*source.layout.inputs, source.layout.label} <= row.keys()
    rows = TaskRows(Table(Dataset.from_list([row]), source.name, [1]), source.layout)
    supervision = SUPERVISED[source.kind]
    assert len(rows.labelled(are_published=True)) == 1
    features = supervision.encode(rows, Tokenization(wordpiece(TEXTS), source.max_length_tokens))
    assert len(features) == 1
    assert {"labels", "start_positions"} & set(features.column_names)


def test_every_data_set_has_one_and_there_are_no_others():
    assert EXAMPLE_ROWS.keys() == SOURCES.keys()
