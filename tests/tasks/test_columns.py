import dataclasses
from types import MappingProxyType

import pytest

from alum.core.errors import InputError
from alum.tasks.columns import layout_of
from alum.tasks.kinds.language_modeling import MASKED_LM
from alum.tasks.kinds.sequence_classification import ClassificationSupervision
from alum.tasks.layout import Layout
from alum.tasks.lookup import USER_KINDS


@dataclasses.dataclass
class Arguments:
    kind: str | None = None
    text_columns: str | None = None
    label_column: str | None = "label"
    choice_columns: str | None = None


class Reading(ClassificationSupervision):
    """A kind of another's own, of the label column alone."""

    kind = MASKED_LM
    user_kinds = MappingProxyType({"reading": 0})
    needs_text = False


def test_columns_are_as_named():
    arguments = Arguments(text_columns="a, b", choice_columns="c,d")
    assert layout_of(arguments) == Layout(text=("a", "b"), choices=("c", "d"), label="label")


def test_a_named_task_has_its_own_columns_where_no_others_are_named():
    named = Layout(text=("sentence",), label="sentiment", label_names=("x", "y"))
    assert layout_of(Arguments(label_column=None), named) == named
    assert layout_of(Arguments(text_columns="a"), named) == dataclasses.replace(named, text=("a",), label="label")


@pytest.mark.parametrize("kind", [None, "sentence_classification", "no kind"])
def test_texts_must_be_named(kind):
    with pytest.raises(InputError, match="say what the columns mean"):
        layout_of(Arguments(kind))


def test_kinds_that_need_no_text_say_so_themselves(monkeypatch):
    assert layout_of(Arguments("causal_lm")).text == ()
    monkeypatch.setitem(USER_KINDS, "reading", (Reading(), 0))
    assert layout_of(Arguments("reading")).text == ()
    with pytest.raises(InputError, match="say what the columns mean"):
        layout_of(Arguments("reading", label_column=None))
