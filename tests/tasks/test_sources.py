import pytest

from alum.tasks.lookup import SUPERVISED
from alum.tasks.sources import SOURCES


@pytest.mark.parametrize("source", SOURCES.values(), ids=lambda source: source.name)
def test_every_data_set_is_of_a_kind_that_fits_its_columns(source):
    supervision = SUPERVISED[source.kind]
    num_texts = set(supervision.user_kinds.values())
    assert 0 in num_texts or len(source.layout.text) in num_texts
    assert bool(source.layout.choices) == (source.kind == "multiple_choice")
