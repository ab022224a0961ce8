import dataclasses
import json

import pytest
from datasets import Dataset

from alum.core.errors import InputError
from alum.data.table import Table
from alum.stages.finetuning.predictions import write_predictions
from alum.stages.finetuning.task_data import TaskData
from alum.tasks.layout import Layout
from alum.tasks.rows import TaskRows
from small_files import fill_disk


class Answers:
    """A supervision whose outputs are the predictions."""

    def predict(self, outputs, features, rows):
        return outputs


def data_of(rows, name="notes", split="validation", where="validation"):
    layout = Layout(("text",), "label", ("bad", "good"))
    rows = {split: TaskRows(Table.of(Dataset.from_list(rows), where), layout)}
    given = {"splits": rows, "unlabelled": {}} if split == "validation" else {"splits": {}, "unlabelled": rows}
    return TaskData(name, Answers(), num_unlabelled_rows=0, max_length_tokens=8, metrics=(), **given)


def files_in(folder):
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_a_line_for_each_row_has_its_number_or_its_id(tmp_path):
    write_predictions(tmp_path, "validation", data_of([{"text": "a"}, {"text": "b"}]), ["good", "schön"], None)
    assert files_in(tmp_path) == {
        "predictions.jsonl": '{"row": 1, "prediction": "good"}\n{"row": 2, "prediction": "schön"}\n'
    }
    write_predictions(tmp_path, "validation", data_of([{"idx": 7}, {"idx": 5}]), [0.5, -1.0], None)
    assert files_in(tmp_path) == {"predictions.jsonl": '{"id": 7, "prediction": 0.5}\n{"id": 5, "prediction": -1.0}\n'}


def test_a_split_without_rows_has_a_file_without_lines(tmp_path):
    some = data_of([{"text": "a"}])
    data = dataclasses.replace(some, splits={split: rows.first(0) for split, rows in some.splits.items()})
    write_predictions(tmp_path, "validation", data, [], None)
    assert files_in(tmp_path) == {"predictions.jsonl": ""}


def test_a_test_set_of_glue_also_has_the_file_that_its_server_takes(tmp_path):
    data = data_of([{"idx": 0}, {"idx": 1}], name="sst2", split="test")
    write_predictions(tmp_path, "test", data, ["good", "bad"], None)
    assert files_in(tmp_path) == {
        "predictions_test.jsonl": '{"id": 0, "prediction": "good"}\n{"id": 1, "prediction": "bad"}\n',
        "SST-2.tsv": "index\tprediction\n0\t1\n1\t0\n",
    }


def test_a_prediction_that_utf_8_cannot_hold_is_read_again_as_it_was(tmp_path):
    write_predictions(tmp_path, "validation", data_of([{"text": "a"}]), ["\udcff"], None)
    assert json.loads((tmp_path / "predictions.jsonl").read_bytes())["prediction"] == "\udcff"


def test_a_full_disk_leaves_the_former_predictions(tmp_path, monkeypatch):
    data = data_of([{"text": "a"}])
    write_predictions(tmp_path, "validation", data, ["good"], None)
    before = files_in(tmp_path)
    fill_disk(monkeypatch)
    with pytest.raises(InputError, match=r"predictions\.jsonl could not be written: No space left .* Free space"):
        write_predictions(tmp_path, "validation", data, ["bad"], None)
    assert files_in(tmp_path) == before
