"""Values of a column that a model reads in words, as COPA's question."""

import json

import pytest
from datasets import Dataset

from alum.data.table import Table
from alum.evaluation.kinds.lookup import evaluated_kind
from alum.tasks.kinds.multiple_choice import contexts_and_choices
from alum.tasks.layout import Layout
from alum.tasks.lookup import SUPERVISED
from alum.tasks.rows import TaskRows
from alum.tasks.sources import SOURCES
from places import DATA

ROWS = [
    {"premise": "I am wet.", "question": "cause", "choice1": "It rained.", "choice2": "I slept.", "label": 0},
    {"premise": "It rained.", "question": "effect", "choice1": "I slept.", "choice2": "I am wet.", "label": 1},
]


def copa(rows):
    return TaskRows(Table.of(Dataset.from_list(rows), "copa.jsonl"), SOURCES["copa"].layout)


def test_the_question_of_copa_is_read_in_words():
    """As the authors of the data put it (Roemmele et al. 2011): what was the cause, what happened as a result."""
    assert contexts_and_choices(copa(ROWS)) == [
        ("I am wet.", ["What was the cause? It rained.", "What was the cause? I slept."]),
        ("It rained.", ["What happened as a result? I slept.", "What happened as a result? I am wet."]),
    ]


def test_other_words_are_read_as_they_stand():
    ((_, choices),) = contexts_and_choices(copa([ROWS[0] | {"question": "Why?"}]))
    assert choices == ["Why? It rained.", "Why? I slept."]
    ((_, choices),) = contexts_and_choices(copa([ROWS[0] | {"premise": "cause"}]))
    assert choices[0] == "What was the cause? It rained."


def test_templates_are_the_questions_that_nobody_writes():
    assert copa(ROWS).templates() == ("What was the cause?", "What happened as a result?")
    assert copa([ROWS[0] | {"question": "Why?"}]).templates() == ("Why?",)
    swag = TaskRows(copa(ROWS).table, Layout(text=("premise", "question"), choices=("choice1", "choice2")))
    assert swag.templates() == ()


def test_the_name_of_a_question_is_not_mistyped():
    evaluated = evaluated_kind(SUPERVISED["multiple_choice"])
    assert evaluated.noisy_columns(SOURCES["copa"].layout) == ("premise",)


@pytest.mark.data
def test_all_rows_of_copa_have_a_worded_question():
    if not DATA.is_dir():
        pytest.skip(f"needs {DATA}: set ALUM_DATA to the folder of the data")
    lines = (DATA / "copa_sample" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    rows = copa([json.loads(line) for line in lines])
    starts = {choices[0].split("?")[0] for _, choices in contexts_and_choices(rows)}
    assert starts == {"What was the cause", "What happened as a result"}
