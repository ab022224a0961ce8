import logging

import pytest

from alum.core.errors import InputError
from alum.evaluation.label_names import check_one_output, label_mapping, label_names_for
from alum.evaluation.suites import SUITES

TWO_WAY = ("entailment", "not_entailment")
THREE_WAY = ("entailment", "neutral", "contradiction")
SENTIMENT = ("negative", "positive")


@pytest.mark.parametrize(
    ("model", "suite", "expected"),
    [
        (THREE_WAY, THREE_WAY, (0, 1, 2)),
        (("CONTRADICTION", "NEUTRAL", "ENTAILMENT"), THREE_WAY, (2, 1, 0)),
        (("contradiction", "entailment", "neutral"), THREE_WAY, (2, 0, 1)),
        (THREE_WAY, ("entailment", "non-entailment"), (0, 1, 1)),  # HANS, McCoy et al. 2019
        (THREE_WAY, ("not_entailment", "entailment"), (1, 0, 0)),  # WNLI
        (("not_entailment", "entailment"), TWO_WAY, (1, 0)),
        (("Non Entailment", "Entails"), TWO_WAY, (1, 0)),
        (("entails", "neutral"), TWO_WAY, (0, 1)),  # SciTail
        (("POS", "NEG"), SENTIMENT, (1, 0)),
        (("unacceptable", "acceptable"), ("unacceptable", "acceptable"), (0, 1)),
        (("duplicate", "not_duplicate"), ("not_paraphrase", "paraphrase"), (1, 0)),
        (("equivalent", "not_equivalent"), ("not_duplicate", "duplicate"), (1, 0)),
        (("a", "A"), ("A", "a"), (1, 0)),  # case alone tells them apart
    ],
)
def test_outputs_are_found_by_their_names(model, suite, expected, caplog):
    assert label_mapping(model, suite, "it").labels == expected
    assert not caplog.records


@pytest.mark.parametrize("model", [("LABEL_0", "LABEL_1", "LABEL_2"), ("0", "1", "2")])
def test_the_order_of_unnamed_outputs_is_assumed_and_logged(model, caplog):
    with caplog.at_level(logging.WARNING):
        assert label_mapping(model, THREE_WAY, "snli").labels == (0, 1, 2)
    assert "entailment, neutral, contradiction, in this order" in caplog.text


def test_outputs_that_are_no_label_are_left_out_and_logged(caplog):
    with caplog.at_level(logging.WARNING):
        assert label_mapping(("negative", "neutral", "positive"), SENTIMENT, "sst2").labels == (0, -1, 1)
    assert "no label of sst2 are left out: neutral" in caplog.text


@pytest.mark.parametrize(
    ("model", "suite"),
    [
        (SENTIMENT, THREE_WAY),
        (("negative", "neutral", "positive"), TWO_WAY),  # neutral may be no entailment, but nothing is one
        (TWO_WAY, THREE_WAY),
        (("LABEL_0", "LABEL_1", "LABEL_2"), TWO_WAY),  # which of them are joined is not known
        (("LABEL_0",), SENTIMENT),
        (("good", "bad"), SENTIMENT),
    ],
)
def test_models_of_other_tasks_are_refused_with_both_sides(model, suite):
    expected = rf"outputs are {', '.join(model)}, but the labels of it are {', '.join(suite)}"
    with pytest.raises(InputError, match=expected):
        label_mapping(model, suite, "it")


@pytest.mark.parametrize("suite", [s for s in SUITES.values() if s.source.layout.label_names], ids=lambda s: s.name)
def test_models_with_the_labels_of_a_suite_fit_it(suite):
    names = suite.source.layout.label_names
    assert label_mapping([name.upper() for name in names], names, suite.name).labels == tuple(range(len(names)))


@pytest.mark.parametrize(
    ("model", "in_file", "expected"),
    [
        (("bad", "fair", "good"), ("bad", "good"), ("bad", "fair", "good")),  # a fair is wrong, not left out
        (("bad", "good"), ("0", "1"), ("bad", "good")),
        (("bad", "fair", "good"), ("0",), ("bad", "fair", "good")),
        (("bad", "fair", "good"), ("Bad", "Good"), ("Bad", "fair", "Good")),
        (("LABEL_0", "LABEL_1"), ("bad", "good"), ("bad", "good")),
        (("bad", "good"), ("0", "1", "2"), ("0", "1", "2")),  # and does not fit
    ],
)
def test_what_labels_of_own_rows_are_read_by(model, in_file, expected):
    assert label_names_for(model, in_file) == expected


def test_numbers_need_a_model_of_one_output():
    check_one_output(("LABEL_0",), "stsb")
    with pytest.raises(InputError, match="outputs are negative, positive, but the labels of stsb are numbers"):
        check_one_output(SENTIMENT, "stsb")
