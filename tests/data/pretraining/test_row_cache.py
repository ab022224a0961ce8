import logging
import os

import numpy as np
import pyarrow as pa
import pytest

from alum.core.errors import InputError
from alum.data.pretraining.row_cache import _PIECE_BYTES, cached_rows
from alum.data.pretraining.worker_processes import ProcessKilled
from fresh_processes import fresh_processes
from small_files import files_up_to

ROWS = np.arange(40, dtype=np.int32).reshape(10, 4)


class Maker:
    """Gives ROWS in three parts, marked by the number of rows up to there, and counts how often."""

    def __init__(self):
        self.num_calls = 0

    def __call__(self, begin):
        self.num_calls += 1
        for first, end in ((0, 3), (3, 4), (4, 10)):
            if first >= (begin or 0):
                yield ROWS[first:end], end


def unmarked(*parts):
    """A maker of these arrays."""
    return lambda begin: ((part, None) for part in parts)


@pytest.fixture
def make():
    return Maker()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "rows.arrow"


@pytest.mark.parametrize("kind", [np.uint16, np.int32])
def test_rows_come_back_as_they_were(path, kind):
    rows = ROWS.astype(kind) + np.iinfo(kind).max - 39
    dataset = cached_rows(path, unmarked(rows[:3], rows[3:]))
    assert dataset["input_ids"][:] == rows.tolist()
    assert dataset.select([9, 0])["input_ids"][:] == rows[[9, 0]].tolist()


def test_the_file_is_an_arrow_stream_for_any_reader(path, make):
    cached_rows(path, make)
    with pa.memory_map(str(path)) as file:
        table = pa.ipc.open_stream(file).read_all()
    assert table["input_ids"].to_pylist() == ROWS.tolist()
    assert table.schema.field("input_ids").type == pa.list_(pa.int32(), 4)
    assert table["input_ids"].num_chunks == 3


def test_rows_are_made_once(path, make):
    first = cached_rows(path, make)
    inode, time = path.stat().st_ino, path.stat().st_mtime_ns
    assert cached_rows(path, make).to_list() == first.to_list()
    assert make.num_calls == 1
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (inode, time)
    assert [file.name for file in path.parent.iterdir()] == ["rows.arrow"]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda whole: b"", id="empty"),
        pytest.param(lambda whole: whole[:2], id="two bytes"),
        pytest.param(lambda whole: whole[: len(whole) // 2], id="half"),
        pytest.param(lambda whole: whole[:-1], id="last byte missing"),
        pytest.param(lambda whole: whole[:-12], id="no end of stream"),
        pytest.param(lambda whole: whole + b"\0", id="a byte too many"),
        pytest.param(lambda whole: whole.replace(b"\x07\0\0\0", b"\x08\0\0\0", 1), id="another id"),
        pytest.param(lambda whole: b"x" * len(whole), id="something else"),
    ],
)
def test_a_damaged_file_is_noticed_and_made_anew(path, make, damage, caplog):
    cached_rows(path, make)
    whole = path.read_bytes()
    assert damage(whole) != whole
    path.write_bytes(damage(whole))
    with caplog.at_level(logging.WARNING):
        assert cached_rows(path, make)["input_ids"][:] == ROWS.tolist()
    assert "rows.arrow is damaged" in caplog.text
    assert make.num_calls == 2
    assert path.read_bytes() == whole


def test_damage_anywhere_in_a_large_file_is_noticed(path):
    rows = np.zeros((200_000, 4), np.int32)
    cached_rows(path, unmarked(rows))
    size = path.stat().st_size
    assert size > 2 * _PIECE_BYTES
    for offset in (1000, _PIECE_BYTES + 1000, size - 1000):
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(b"\x01")
        assert cached_rows(path, unmarked(rows)).with_format("numpy")["input_ids"][:].sum() == 0


def test_rows_in_use_outlive_the_file_that_they_are_replaced_by(path, make):
    used = cached_rows(path, make)
    os.rename(path, path.with_suffix(".old"))
    cached_rows(path, make)
    assert used["input_ids"][:] == ROWS.tolist()


def test_a_failure_half_way_leaves_nothing_behind(path):
    def broken(begin):
        yield ROWS, 10
        raise InputError("no more")

    with pytest.raises(InputError, match="no more"):
        cached_rows(path, broken)
    assert list(path.parent.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path, make):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cache folder .*file/cache cannot be used \(.+\): .*--cache_dir"):
        cached_rows(tmp_path / "file" / "cache" / "rows.arrow", make)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named_and_still_read(path, make):
    cached_rows(path, make)
    path.parent.chmod(0o500)
    try:
        assert cached_rows(path, make)["input_ids"][:] == ROWS.tolist()
        with pytest.raises(InputError, match=r"cache cannot be used \(Permission denied\): .*--cache_dir"):
            cached_rows(path.with_name("other.arrow"), make)
    finally:
        path.parent.chmod(0o700)


def test_a_full_disk_is_named_and_left_as_it_was(path):
    said = r"rows.arrow could not be written: File too large; .* are free in .*--cache_dir"
    refused = pytest.raises(InputError, match=said)
    with refused, files_up_to(100_000):
        cached_rows(path, unmarked(ROWS, *[np.zeros((10_000, 4), np.int32)] * 3))
    assert list(path.parent.iterdir()) == []


# -- killed and gone on with -------------------------------------------------------------------------------------------

WIDE = np.arange(4000, dtype=np.int32).reshape(100, 40)


class Stopping:
    """Gives the rows of WIDE one by one, and is stopped as by Ctrl-C before row ``at``; keeps where it began."""

    def __init__(self, at=None):
        self.at = at
        self.began = []

    def __call__(self, begin):
        self.began.append(begin)
        for number in range(begin or 0, len(WIDE)):
            if number == self.at:
                raise KeyboardInterrupt
            yield WIDE[number : number + 1], number + 1


@pytest.fixture
def often(monkeypatch):
    """Notes after every few rows, of about 300 bytes each."""
    monkeypatch.setattr("alum.data.pretraining.row_cache.BYTES_BETWEEN_NOTES", 1500)


def stopped(path, at):
    with pytest.raises(KeyboardInterrupt):
        cached_rows(path, Stopping(at))


@pytest.mark.parametrize("at", [1, 7, 50, 99])
def test_what_was_begun_is_gone_on_with_to_the_same_file(tmp_path, often, at):
    cached_rows(tmp_path / "whole.arrow", Stopping())
    path = tmp_path / "cache" / "rows.arrow"
    stopped(path, at)
    assert not path.exists()
    make = Stopping()
    assert cached_rows(path, make).with_format("numpy")["input_ids"][:].tolist() == WIDE.tolist()
    begun = make.began[-1] or 0
    assert at - 10 < begun <= at
    assert path.read_bytes() == (tmp_path / "whole.arrow").read_bytes()
    assert [file.name for file in path.parent.iterdir()] == ["rows.arrow"]


def test_it_may_be_stopped_again_and_again(tmp_path, often):
    path = tmp_path / "rows.arrow"
    for at in (20, 40, 60, 80):
        stopped(path, at)
    make = Stopping()
    assert cached_rows(path, make).num_rows == 100
    assert make.began[-1] > 70


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda draft, note: draft.write_bytes(b"x" + draft.read_bytes()[1:]), id="other bytes"),
        pytest.param(lambda draft, note: draft.write_bytes(draft.read_bytes()[:1000]), id="too short"),
        pytest.param(lambda draft, note: note.write_bytes(note.read_bytes()[:-5]), id="note cut short"),
        pytest.param(lambda draft, note: note.write_text("[]"), id="no note"),
        pytest.param(lambda draft, note: note.unlink(), id="note lost"),
    ],
)
def test_what_was_begun_and_is_damaged_is_made_anew(tmp_path, often, damage):
    path = tmp_path / "rows.arrow"
    stopped(path, 50)
    damage(path.with_name("rows.arrow.draft"), path.with_name("rows.arrow.draft.json"))
    make = Stopping()
    assert cached_rows(path, make).with_format("numpy")["input_ids"][:].tolist() == WIDE.tolist()
    assert make.began == [None]
    assert [file.name for file in tmp_path.iterdir()] == ["rows.arrow"]


def test_bytes_after_the_last_note_are_written_again(tmp_path, often):
    path = tmp_path / "rows.arrow"
    stopped(path, 50)
    with path.with_name("rows.arrow.draft").open("ab") as draft:
        draft.write(b"half a row")
    assert cached_rows(path, Stopping()).with_format("numpy")["input_ids"][:].tolist() == WIDE.tolist()


def test_what_was_written_before_a_helping_process_was_killed_is_gone_on_with(tmp_path, often):
    def killed(begin):
        yield from ((WIDE[number : number + 1], number + 1) for number in range(50))
        raise ProcessKilled("killed")

    with pytest.raises(ProcessKilled):
        cached_rows(tmp_path / "rows.arrow", killed)
    make = Stopping()
    assert cached_rows(tmp_path / "rows.arrow", make).num_rows == 100
    assert make.began[-1] > 40


def make_when_asked(path, is_begun, may_end, count):
    """Rows of which the second comes when it may; of a module, as spawned functions are."""

    def make(begin):
        yield WIDE[:1], 1
        is_begun.set()
        assert may_end.wait(300)
        with count.get_lock():
            count.value += 1
        yield WIDE[1:], 100

    cached_rows(path, make)


def test_one_process_writes_and_the_other_waits_for_it(tmp_path):
    """The second one comes while the first is in the middle, and finds the file made."""
    path = tmp_path / "rows.arrow"
    context = fresh_processes()  # a fork of this one might wait for locks that its threads hold
    is_begun, may_end, count = context.Event(), context.Event(), context.Value("i", 0)
    first, second = (
        context.Process(target=make_when_asked, args=(path, is_begun, may_end, count), daemon=True) for _ in range(2)
    )
    first.start()
    assert is_begun.wait(300)
    second.start()
    may_end.set()
    for process in (first, second):
        process.join(300)
        assert process.exitcode == 0
    assert count.value == 1
    assert [file.name for file in tmp_path.iterdir()] == ["rows.arrow"]
