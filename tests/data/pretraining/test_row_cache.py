import logging
import os

import numpy as np
import pyarrow as pa
import pytest

from alum.core.errors import InputError
from alum.data.pretraining.row_cache import _PIECE_BYTES, cached_rows
from small_files import files_up_to

ROWS = np.arange(40, dtype=np.int32).reshape(10, 4)


class Maker:
    """Gives ROWS in three parts, and counts how often."""

    def __init__(self):
        self.num_calls = 0

    def __call__(self):
        self.num_calls += 1
        yield from (ROWS[:3], ROWS[3:4], ROWS[4:])


@pytest.fixture
def make():
    return Maker()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "rows.arrow"


@pytest.mark.parametrize("kind", [np.uint16, np.int32])
def test_rows_come_back_as_they_were(path, kind):
    rows = ROWS.astype(kind) + np.iinfo(kind).max - 39
    dataset = cached_rows(path, lambda: iter([rows[:3], rows[3:]]))
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
    cached_rows(path, lambda: iter([rows]))
    size = path.stat().st_size
    assert size > 2 * _PIECE_BYTES
    for offset in (1000, _PIECE_BYTES + 1000, size - 1000):
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(b"\x01")
        assert cached_rows(path, lambda: iter([rows])).with_format("numpy")["input_ids"][:].sum() == 0


def test_rows_in_use_outlive_the_file_that_they_are_replaced_by(path, make):
    used = cached_rows(path, make)
    os.rename(path, path.with_suffix(".old"))
    cached_rows(path, make)
    assert used["input_ids"][:] == ROWS.tolist()


def test_a_failure_half_way_leaves_nothing_behind(path):
    def broken():
        yield ROWS
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
    refused = pytest.raises(InputError, match=r"cache cannot be used \(.*File too large.*\): .*--cache_dir")
    with refused, files_up_to(100_000):
        cached_rows(path, lambda: iter([ROWS] + [np.zeros((10_000, 4), np.int32)] * 3))
    assert list(path.parent.iterdir()) == []
