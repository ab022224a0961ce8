import csv
import json

import pandas
import pytest
from datasets import Dataset

from alum.core.errors import InputError
from alum.data import table_files
from alum.data.table_files import load_table, require_columns
from tiny_texts import write_rows

ROWS = [
    {"text": 'a "quoted" word, and a comma', "label": 1, "score": 0.5},
    {"text": "two\nlines", "label": 0, "score": 2.0},
    {"text": "None", "label": 2, "score": -1.25},
]


def write_csv(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def write_json(path, rows):
    path.write_text(json.dumps(rows))


def write_parquet(path, rows):
    pandas.DataFrame(rows).to_parquet(path)


WRITERS = {"jsonl": write_rows, "json": write_json, "csv": write_csv, "parquet": write_parquet}


@pytest.mark.parametrize("ending", WRITERS)
def test_every_format_gives_the_same_rows(tmp_path, ending):
    path = tmp_path / f"rows.{ending}"
    WRITERS[ending](path, ROWS)
    # In CSV all is text: what is a label is looked up, and the rest is passed on.
    rows = [{name: str(value) for name, value in row.items()} for row in ROWS] if ending == "csv" else ROWS
    assert load_table(path).to_list() == rows


@pytest.mark.parametrize(("ending", "expected"), [("jsonl", [1, None]), ("csv", ["1", ""])])
def test_integers_beside_missing_ones_stay_integers(tmp_path, ending, expected):
    path = tmp_path / f"rows.{ending}"
    WRITERS[ending](path, [{"text": "a", "label": 1}, {"text": "b", "label": None}])
    assert load_table(path)["label"][:] == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.jsonl", '{"a": 1}\n\n{"a": 2\n', "rows.jsonl, line 3: not JSON .* Expected one object a line"),
        ("rows.jsonl", '{"a": "x\u2028y"}\n{"a":}\n', "rows.jsonl, line 2: not JSON"),
        ("rows.jsonl", '{"a": 1}\n[1, 2]\n', "rows.jsonl, line 2: expected a JSON object, not list"),
        ("rows.csv", "a,b\n1,2\n1,2,3\n", "rows.csv cannot be read as csv: .*Row #3: Expected 2 columns, got 3"),
        ("rows.csv", "a,a\n1,2\n", "rows.csv cannot be read as csv: .*exists 2 times"),
        ("rows.parquet", "a,b\n1,2\n", "rows.parquet cannot be read as parquet"),
        (
            "rows.json",
            '[\n  {"a": 1},\n  {"a": {"b": 2}}, 3\n]',
            "rows.json, line 1: a JSON array, where one object a line",
        ),
        ("rows.jsonl.gz", "a", "rows.jsonl.gz is compressed: unpack it first"),
        ("rows.jsonl", "", "is empty: expected rows, one for each example"),
        ("rows.csv", "", "is empty: expected rows, one for each example"),
        ("rows.json", "\n", "is empty: expected rows, one for each example"),
        ("rows.csv", "a,b\n", r"has no rows: expected one for each example\."),
        ("rows.xlsx", "a", r"expected a file that ends in \.jsonl, .*not '\.xlsx'"),
        ("rows", "a", "not 'nothing'"),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_the_place(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message) as error:
        load_table(path)
    assert "\n" not in str(error.value)


def test_missing_columns_are_named_beside_those_that_there_are():
    table = Dataset.from_list(ROWS)
    require_columns(table, ["text", "label"], "rows.jsonl")
    with pytest.raises(InputError, match=r"rows.jsonl has no column 'premise', 'gold': .* text, label, score"):
        require_columns(table, ["premise", "text", "gold"], "rows.jsonl")


@pytest.mark.parametrize("edge", [1 << 13, 1 << 20])
def test_a_quoted_line_end_is_whole_wherever_it_stands(tmp_path, edge):
    """At the edge of a block pyarrow 26.0.1's reader of CSV loses the newline behind a carriage return.

    https://github.com/apache/arrow/issues/51368
    """
    path = tmp_path / "a.csv"
    for place in range(edge - 2, edge + 2):
        before = "z" * (place - len('text,label\r\n"'))
        path.write_bytes(f'text,label\r\n"{before}\r\nb",x\r\nplain,y\r\n'.encode())
        assert path.read_bytes()[place : place + 2] == b"\r\n"
        assert load_table(path)["text"][:] == [f"{before}\r\nb", "plain"]


class Searched(str):
    """Text that counts how often something is looked for in it."""

    times = 0

    def __contains__(self, part):
        Searched.times += 1
        return super().__contains__(part)


def test_the_text_of_an_array_is_searched_once_not_once_for_each_row(tmp_path, monkeypatch):
    file = tmp_path / "rows.json"
    file.write_text(json.dumps([{"text": f"row {number}"} for number in range(50)]))
    monkeypatch.setattr(table_files, "read_text", lambda path, what: Searched(path.read_text()))
    assert len(load_table(str(file), ["text"])) == 50
    assert 0 < Searched.times < 5


def test_half_a_character_in_an_array_is_found_in_its_row(tmp_path):
    file = tmp_path / "rows.json"
    file.write_text('[{"text": "\\ud83d\\ude00"}, {"text": "\\ud83d"}]')
    with pytest.raises(InputError, match=r"row 2: holds \\ud83d alone, half of a character"):
        load_table(str(file), ["text"])
