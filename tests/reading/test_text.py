"""Text is text: nothing is inferred from how it looks, and what is passed on can be written again."""

import datetime
import json

import pandas
import pyarrow as pa
import pytest
from datasets import Dataset

from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.predictions import write_predictions
from alum.stages.finetuning.task_data import load_task_data
from reading_cases import COLUMNS, Case, Read, check, parametrized, write


def csv(text):
    return f"text,label\n{text},0\nx,1\n"


def first(text):
    return Read(texts={"train": [[text, "x"]]}, labels={"train": ["0", "1"]})


def both(*texts):
    return Read(texts={"train": [list(texts)]})


TEXTS = [
    Case("a number", {"rows.csv": csv("4")}, first("4")),
    Case("zeros before a number", {"rows.csv": csv("007")}, first("007")),
    Case("an exponent", {"rows.csv": csv("1e5")}, first("1e5")),
    Case("numbers alone", {"rows.csv": "text,label\n2,0\n3.0,1\n"}, both("2", "3.0")),
    Case(
        "dates alone",
        {"rows.csv": "text,label\n2020-01-31,0\n2021-02-28 10:00:00,1\n"},
        both("2020-01-31", "2021-02-28 10:00:00"),
    ),
    Case(
        "dates alone in JSON",
        {"rows.jsonl": '{"text": "2020-01-31", "label": 0}\n{"text": "2021-02-28T10:00:00Z", "label": 1}\n'},
        both("2020-01-31", "2021-02-28T10:00:00Z"),
    ),
    Case("truth values alone", {"rows.csv": "text,label\ntrue,0\nFalse,1\n"}, both("true", "False")),
    Case("words for what is missing", {"rows.csv": csv("NA")}, first("NA")),
    Case("an empty text", {"rows.csv": csv("")}, first("")),
    Case("white space", {"rows.csv": csv(" a  b ")}, first(" a  b ")),
    Case("a comma", {"rows.csv": csv('"a, b"')}, first("a, b")),
    Case("quotes doubled", {"rows.csv": csv('"he said ""hi"""')}, first('he said "hi"')),
    Case("quotes behind a backslash", {"rows.csv": csv('"he said \\"hi\\""')}, first('he said "hi"')),
    Case("quotes in the middle", {"rows.csv": csv('5" wide')}, first('5" wide')),
    Case("backslashes", {"rows.csv": csv('"C:\\new\\"')}, first("C:\\new\\")),
    Case("line ends within quotes", {"rows.csv": csv('"a\r\nb\nc"')}, first("a\r\nb\nc")),
    Case("a byte order mark", {"rows.csv": b"\xef\xbb\xbf" + csv("a").encode()}, first("a")),
    Case("line ends of Windows", {"rows.csv": csv("a").replace("\n", "\r\n")}, first("a")),
    Case("blank lines", {"rows.csv": csv("a").replace("\n", "\n\n")}, first("a")),
    Case("a text of a megabyte", {"rows.csv": csv("a" * 1_000_000)}, first("a" * 1_000_000)),
    Case(
        "line ends within quotes at every place of a large file",
        {"rows.csv": "text,label\n" + '"a\r\nb",0\n' * 30_000},
        both(*["a\r\nb"] * 30_000),
        settings={"kind": "regression"},
    ),
    Case("a quote that is not closed", {"rows.csv": csv('"a')}, refused="cannot be read as csv: Row #2: .*end of data"),
    Case(
        "a number among texts in JSON",
        {"rows.jsonl": '{"text": "x", "label": 0}\n{"text": 5, "label": 1}\n'},
        refused="row 2: column 'text' must be text, not 5",
    ),
    Case(
        "numeric choices",
        {"rows.csv": "text,a,b,c,label\nwhat is 1 plus one,2,3,4,0\nwhat is 4 minus 1,2,3,4,1\n"},
        Read(
            kind="multiple_choice",
            choices={"train": [["2", "2"], ["3", "3"], ["4", "4"]]},
            labels={"train": [0, 1]},
        ),
        settings={"choice_columns": "a,b,c"},
    ),
    Case(
        "half a character in JSON",
        {"rows.jsonl": '{"text": "x", "label": 0}\n{"text": "\\ud83d", "label": 1}\n'},
        refused=r"line 2: holds \\ud83d alone, half of a character",
    ),
    Case(
        "a whole character in two halves",
        {"rows.jsonl": '{"text": "\\ud83d\\ude00", "label": 0}\n{"text": "x", "label": 1}\n'},
        first("\U0001f600"),
    ),
]


@parametrized(TEXTS)
def test_text_is_text(case, tmp_path):
    check(case, tmp_path)


def test_categories_of_pandas_are_text(tmp_path):
    pandas.DataFrame({"text": pandas.Categorical(["a", "b"]), "label": [0, 1]}).to_parquet(tmp_path / "rows.parquet")
    write(tmp_path, "rows.parquet", Dataset(pa.parquet.read_table(tmp_path / "rows.parquet")))
    check(Case("", {}, both("a", "b")), tmp_path)


# -- what is passed on -------------------------------------------------------------------------------------------------

# Files for two rows by what their ids look like, and what predictions carry.
IDS = {
    "zeros first": ("csv", "id,text,label\n0001,x,0\n0002,y,1\n", ["0001", "0002"]),
    "23 digits": ("csv", f"id,text,label\n{'1' * 23},x,0\n{'2' * 23},y,1\n", ["1" * 23, "2" * 23]),
    "an exponent": ("csv", "id,text,label\n1e5,x,0\n2e5,y,1\n", ["1e5", "2e5"]),
    "dates": ("csv", "id,text,label\n2020-01-31,x,0\n2020-02-29,y,1\n", ["2020-01-31", "2020-02-29"]),
    "dates in JSON": (
        "jsonl",
        '{"id": "2020-01-31", "text": "x", "label": 0}\n{"id": "2020-02-29", "text": "y", "label": 1}\n',
        ["2020-01-31", "2020-02-29"],
    ),
    "23 digits in JSON": (
        "jsonl",
        f'{{"id": {"1" * 23}, "text": "x", "label": 0}}\n{{"id": 2, "text": "y", "label": 1}}\n',
        ["1" * 23, 2],
    ),
    "dates in Parquet": (
        "parquet",
        [datetime.date(2020, 1, 31), datetime.date(2020, 2, 29)],
        ["2020-01-31", "2020-02-29"],
    ),
    "times in Parquet": (
        "parquet",
        [datetime.datetime(2020, 1, 31, 10), datetime.datetime(2020, 2, 29)],
        ["2020-01-31T10:00:00", "2020-02-29T00:00:00"],
    ),
    "bytes in Parquet": ("parquet", [b"\xff", b"a"], ["/w==", "YQ=="]),
    "floats in Parquet": ("parquet", [1.5, float("nan")], [1.5, None]),
}


@pytest.mark.parametrize("name", IDS)
def test_ids_are_written_as_they_were(name, tmp_path):
    ending, content, expected = IDS[name]
    if ending == "parquet":
        content = Dataset.from_dict({"id": content, "text": ["x", "y"], "label": [0, 1]})
    write(tmp_path, f"rows.{ending}", content)
    data = load_task_data(
        FinetuneArguments(model_name_or_path="none", data_dir=str(tmp_path), **COLUMNS), ("train", "validation")
    )
    outputs = pandas.get_dummies([0, 1]).to_numpy()
    write_predictions(tmp_path, "validation", data, outputs, None)
    lines = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    assert lines == [{"id": expected[0], "prediction": "0"}, {"id": expected[1], "prediction": "1"}]
