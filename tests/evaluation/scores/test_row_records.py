import json

import pytest

from alum.core.errors import InputError
from alum.evaluation.scores.row_records import RowRecords
from small_files import files_up_to


def records(*rows):
    return [{"row": row, "scores": {"accuracy": row % 2}} for row in rows]


def test_what_was_added_is_known_to_the_next_call(tmp_path):
    path = tmp_path / "model" / "suite" / "clean.jsonl"
    first = RowRecords(path)
    first.add(records(3, 1))
    first.add(records(7))
    second = RowRecords(path)
    assert second.missing([1, 2, 3, 7, 9]) == [2, 9]
    assert second.of([7, 1]) == records(7, 1)
    assert [json.loads(line) for line in path.read_text().splitlines()] == records(3, 1, 7)


@pytest.mark.parametrize("cut", range(1, 40))
def test_wherever_a_kill_cuts_the_last_line_only_its_row_is_measured_again(tmp_path, cut):
    path = tmp_path / "clean.jsonl"
    RowRecords(path).add(records(1, 2))
    whole = path.read_bytes()
    length_of_last = len(whole.splitlines(keepends=True)[-1])
    path.write_bytes(whole[: -min(cut, length_of_last)])
    again = RowRecords(path)
    assert again.missing([1, 2]) == [2]
    again.add(records(2))
    assert path.read_bytes() == whole


def test_rows_of_records_without_a_needed_field_are_measured_again(tmp_path):
    path = tmp_path / "clean.jsonl"
    RowRecords(path).add(records(1, 2))
    needing = RowRecords(path, {"logits"})
    assert needing.missing([1, 2]) == [1, 2]
    new = {**records(2)[0], "logits": [0.5, 1.0]}
    needing.add([new])
    again = RowRecords(path, {"logits"})
    assert again.missing([1, 2]) == [1]
    assert again.of([2]) == [new]


def test_text_of_any_kind_comes_back_as_it_was(tmp_path):
    texts = ["<b>", "\u2028\u202e\x00\x1b[31m", "\ud800", "日本語", "line\nline"]
    record = {"row": 1, "perturbed": texts}
    RowRecords(tmp_path / "rows.jsonl").add([record])
    assert RowRecords(tmp_path / "rows.jsonl").of([1]) == [record]


def test_without_a_path_records_are_kept_in_memory():
    kept = RowRecords()
    kept.add(records(4))
    assert kept.of([4]) == records(4)
    assert len(kept) == 1


@pytest.mark.parametrize("line", ["nonsense", "[1]", "{}", "3", '{"scores": 1}'])
def test_a_file_of_something_else_is_refused_by_its_line(tmp_path, line):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(records(1)[0]) + "\n" + line + "\n")
    with pytest.raises(InputError, match=r"rows.jsonl, line 2: expected the record of a row"):
        RowRecords(path)


def test_a_full_disk_is_said_in_one_line(tmp_path):
    kept = RowRecords(tmp_path / "rows.jsonl")
    with files_up_to(10), pytest.raises(InputError, match=r"rows.jsonl could not be written: .* Free space"):
        kept.add(records(1))
