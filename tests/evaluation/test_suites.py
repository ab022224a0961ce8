import re

import pytest

from alum.core.errors import InputError
from alum.evaluation.suites import NOT_STATED, SUITES, suite_named
from alum.tasks.named import TASKS


def test_every_glue_task_with_labelled_validation_rows_is_a_suite():
    glue = {name for name, task in TASKS.items() if task.hub_id == "nyu-mll/glue"}
    assert {name for name, suite in SUITES.items() if suite.hub_id == "nyu-mll/glue"} == glue | {"mnli_mismatched"}


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
    assert re.search(r"\b(19|20)\d\d\b", suite.citation)  # a year
    assert suite.licence == NOT_STATED or re.fullmatch(r"[a-z0-9.-]+", suite.licence)
    assert suite.kind.supervision is not None
    if suite.kind.name == "sequence_classification":
        assert suite.layout.label_names
    if suite.hub_id is None:
        assert "give a file" in suite.note
    else:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", suite.hub_id)


@pytest.mark.parametrize("task", ["sst2", "qqp", "mnli", "mnli_mismatched", "qnli", "rte"])
def test_adversarial_glue_has_the_columns_and_labels_of_glue(task):
    adversarial, plain = SUITES[f"adv_{task}"], SUITES[task]
    assert adversarial.layout == plain.layout
    assert adversarial.hub_config == f"adv_{task}"


def test_an_unknown_suite_is_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"unknown suite 'anli_r1_de'.*Did you mean 'anli_r1_dev'"):
        suite_named("anli_r1_de")
