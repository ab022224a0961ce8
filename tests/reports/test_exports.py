import json

import pandas
import pytest

from alum.reports.exports import AttackedTexts, frame_of

RECORD = {
    "model": "m",
    "suite": "rows",
    "attack": "typos",
    "row": 7,
    "label": "good",
    "outcome": "succeeded",
    "num_queries": 9,
    "original": ["a good film"],
    "perturbed": ["a gold film"],
    "changes": [{"text": 0, "word": 1, "old": "good", "new": "gold"}],
    "before": "good",
    "after": "bad",
    "before_probabilities": {"bad": 0.1, "good": 0.9},
    "after_probabilities": {"bad": 0.6, "good": 0.4},
}
ANSWER = {**RECORD, "row": 8, "original": ["who ?", "context"], "perturbed": ["whp ?", "context"]}
ANSWER |= {"before": "an answer of F1 1.00", "before_probabilities": None, "after_probabilities": None}


def test_a_line_of_csv_has_texts_and_probabilities_of_the_answers(tmp_path):
    AttackedTexts([RECORD]).to_csv(tmp_path / "a.csv")
    header, line = (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()
    assert header == (
        "model,suite,attack,row,label,outcome,original,perturbed,before,before_probability,after,after_probability,"
        "num_queries,num_changed_words,changes"
    )
    assert line.startswith("m,rows,typos,7,good,succeeded,a good film,a gold film,good,0.9,bad,0.6,9,1,")


def test_texts_of_several_kinds_go_into_one_file(tmp_path):
    AttackedTexts([RECORD, ANSWER]).to_csv(tmp_path / "a.csv")
    read = pandas.read_csv(tmp_path / "a.csv", keep_default_na=False)
    assert read["original"].tolist() == ["a good film", ""]
    assert read["original_2"].tolist() == ["", "context"]
    assert read["before_probability"].tolist() == ["0.9", ""]
    assert json.loads(read["changes"][0]) == RECORD["changes"]


@pytest.mark.parametrize("text", ['comma, "quote"\nand line', "łódź 🙂", "\x1b[31m", "=1+1", "\udcff"])
def test_any_text_is_read_back_as_it_was(text, tmp_path):
    record = {**RECORD, "original": [text]}
    AttackedTexts([record]).to_csv(tmp_path / "a.csv")
    AttackedTexts([record]).to_jsonl(tmp_path / "a.jsonl")
    (line,) = (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == record  # surrogates, which are no text in UTF-8, too
    if text != "\udcff":
        assert pandas.read_csv(tmp_path / "a.csv")["original"].tolist() == [text]


def test_no_texts_are_an_empty_file(tmp_path):
    AttackedTexts([]).to_csv(tmp_path / "a.csv")
    AttackedTexts([]).to_jsonl(tmp_path / "a.jsonl")
    assert (tmp_path / "a.jsonl").read_bytes() == b""
    assert AttackedTexts([]).to_pandas().empty


def test_records_within_records_are_columns():
    frame = frame_of([{"value": 1.0, "clean": {"value": 2.0, "low": 0.0}}, {"value": 3.0, "clean": None}])
    assert frame["clean_value"].tolist()[0] == 2.0
    assert frame["value"].tolist() == [1.0, 3.0]
