import re

import pytest

from alum.evaluation.suites import SUITES
from alum.tasks.named import TASKS
from alum.tasks.sources import NOT_STATED


def test_every_glue_task_with_labelled_validation_rows_is_a_suite():
    glue = {name for name, task in TASKS.items() if task.source.hub_id == "nyu-mll/glue"}
    assert {name for name, suite in SUITES.items() if suite.source.hub_id == "nyu-mll/glue"} == glue | {
        "mnli_mismatched"
    }


def test_a_task_and_the_suite_of_the_same_data_are_read_alike():
    shared = set(TASKS) & set(SUITES)
    assert {"sick", "snli", "squad", "stsb", "copa"} <= shared
    for name in shared:
        assert TASKS[name].source is SUITES[name].source


def test_splits_are_those_of_the_data_sets():
    found = {name: SUITES[name].split for name in ("mnli", "mnli_mismatched", "snli", "anli_r2_dev", "anli_r3_test")}
    assert found == {
        "mnli": "validation_matched",
        "mnli_mismatched": "validation_mismatched",
        "snli": "test",
        "anli_r2_dev": "dev_r2",
        "anli_r3_test": "test_r3",
    }


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
def test_every_row_is_whole(suite):
    assert re.search(r"\b(19|20)\d\d\b", suite.source.citation)  # a year
    assert suite.source.licence == NOT_STATED or re.fullmatch(r"[a-z0-9.-]+", suite.source.licence)
    if suite.source.kind == "sequence_classification":
        assert suite.source.layout.label_names
    if suite.source.hub_id is None:
        assert "give a file" in suite.source.note
    else:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", suite.source.hub_id)


@pytest.mark.parametrize("task", ["sst2", "qqp", "mnli", "mnli_mismatched", "qnli", "rte"])
def test_adversarial_glue_has_the_columns_and_labels_of_glue(task):
    adversarial, plain = SUITES[f"adv_{task}"], SUITES[task]
    assert adversarial.source.layout == plain.source.layout
    assert adversarial.source.hub_config == f"adv_{task}"
