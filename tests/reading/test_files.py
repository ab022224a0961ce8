"""Columns and files that nobody named are not read, and what is read is what is there now."""

import os

import pyarrow as pa
import pytest
from pyarrow import parquet

from alum.core.errors import InputError
from alum.data.table_files import load_table
from reading_cases import Case, Read, check, parametrized

CSV = "text,label\na,0\nb,1\n"
JSONL = '{"text": "a", "label": 0}\n{"text": "b", "label": 1}\n'
AB = Read(texts={"train": [["a", "b"]]}, labels={"train": ["0", "1"]})


def jsonl(*others):
    """Rows with a value of a column that nobody asks for, as JSON writes it; "" leaves it out."""
    return "".join(
        f'{{"text": "x", "label": {i % 2}{other and f""", "other": {other}"""}}}\n' for i, other in enumerate(others)
    )


FILES = [
    Case("null, and text after 30,000 rows", {"rows.jsonl": jsonl(*["null"] * 30_000, '"x"')}, Read(names=("0", "1"))),
    Case("a column of several types", {"rows.jsonl": jsonl("1", '"x"', "[]", '{"a": 1}')}, Read(names=("0", "1"))),
    Case("lists of several types", {"rows.jsonl": jsonl('[1, "x"]', "[[]]")}, Read(names=("0", "1"))),
    Case("a number of 23 digits", {"rows.jsonl": jsonl("1" * 23, "1")}, Read(names=("0", "1"))),
    Case("a column of some rows", {"rows.jsonl": jsonl("", "1", "")}, Read(names=("0", "1"))),
    Case("two columns of one name", {"rows.csv": "x,text,label,x\n1,a,0,2\n1,b,1,2\n"}, AB),
    Case("columns without a name", {"rows.csv": ",text,label,\n1,a,0,2\n1,b,1,2\n"}, AB),
    Case(
        "two columns of the name that was asked for",
        {"rows.csv": "text,text,label\na,b,0\n"},
        refused=r"column 'text' exists 2 times",
    ),
    Case("null instead of a row", {"rows.jsonl": "null\nnull\n"}, refused="line 1: expected a JSON object, not null"),
    Case("a row that is no object", {"rows.jsonl": JSONL + "5\n"}, refused="line 3: expected a JSON object, not int"),
    Case("nesting without end", {"rows.jsonl": "[" * 100_000}, refused="line 1: a JSON array"),
    Case("nesting within a row", {"rows.jsonl": '{"a": ' * 100_000}, refused=r"line 1: not JSON \("),
    Case("a column that is missing", {"rows.jsonl": '{"text": "a", "other": 1}\n'}, refused="'label': .* text, other"),
    Case(
        "two files of a split",
        {"train.csv": CSV, "train.jsonl": JSONL, "validation.csv": CSV},
        refused="has train.csv and train.jsonl: which is the train split",
    ),
    Case("hidden files", {"rows.csv": CSV, "._train.csv": b"\0\x05\x16\x07", ".~lock.train.csv": ""}, AB),
    Case("files that are no split", {"rows.csv": CSV, "README.csv": "no,table\n1\n", "notes.jsonl": "{"}, AB),
    Case("names in capitals", {"TRAIN.CSV": CSV, "Validation.JsonL": JSONL}, AB),
    Case(
        "a test file that nobody asked for",
        {"rows.csv": CSV, "test.csv": '"'},
        Read(splits={"train", "validation"}),
    ),
    Case(
        "a split that is not there",
        {"train.csv": CSV, "README.csv": ""},
        refused="no validation split, only readme, train",
    ),
]


@parametrized(FILES)
def test_what_nobody_named_is_not_read(case, tmp_path):
    check(case, tmp_path)


def test_a_map_that_nobody_named_does_not_block_a_parquet_file(tmp_path):
    maps = pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64()))
    for split in ("train", "validation"):
        table = pa.table({"map": maps, "text": ["a", "b"], "label": [0, 1]})
        parquet.write_table(table, tmp_path / f"{split}.parquet")
    check(Case("", {}, AB), tmp_path)


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_a_file_that_was_written_again_is_read_again(ending, tmp_path):
    """With the size and the times that it had, as tar, cp -p and layers of containers leave them."""
    path = tmp_path / f"rows.{ending}"
    for text in ("old", "new"):
        if ending == "parquet":
            parquet.write_table(pa.table({"text": [text]}), path)
        else:
            path.write_text(f'{{"text": "{text}"}}\n' if ending == "jsonl" else f"text\n{text}\n")
        os.utime(path, (1_000_000_000, 1_000_000_000))
        assert load_table(path)["text"][:] == [text]


def test_nothing_of_the_rows_is_left_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    parquet.write_table(pa.table({"text": ["a"]}), tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n')
    for ending in ("parquet", "jsonl"):
        load_table(tmp_path / f"a.{ending}")
    assert not (tmp_path / "cache").exists()


def test_columns_that_may_be_missing(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label,other\na,0,1\n")
    assert load_table(path, ["text"], ["label", "id"]).column_names == ["text", "label"]
    with pytest.raises(InputError, match=r"no column 'label2': its columns are text, label, other\."):
        load_table(path, ["text", "label2"])
