"""Cache of token sequences on disk: written once, by whoever goes on with it, then read memory-mapped."""

import json
import logging
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from datasets import Dataset
from filelock import FileLock
from numpy.typing import NDArray

from alum.core.errors import InputError
from alum.data.pretraining.worker_processes import ProcessKilled
from alum.data.writing import unwritten, why_unwritable, write_whole

logger = logging.getLogger(__name__)

Rows = NDArray[np.integer[Any]]
"""Token ids of sequences of one length, ``[rows, length]``."""

MarkedRows = tuple[Rows, Any]
"""Rows, and the mark from which they go on: a value of JSON."""

CHECKSUM_BYTES = 4
BYTES_BETWEEN_NOTES = 1 << 26
"""What a killed process may have to write again."""
_PIECE_BYTES = 1 << 20
_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"  # of Arrow's streaming format


def cached_rows(path: Path, make: Callable[[Any], Iterator[MarkedRows]]) -> Dataset:
    """Reads rows, column input_ids, from the file ``path``; if it is missing or damaged, writes it first.

    ``make`` gives one or more arrays of rows of the same length, each with a mark, and only one is ever held in memory.
    It is called with None, or where a killed process had begun to write, with the mark after the rows that it left.
    One process writes at a time, and others wait for it. Raises `InputError` for a folder that cannot be read or
    written.
    """
    try:
        if not _is_there(path):
            _write(path, make)
        return Dataset.from_file(str(path))
    except OSError as error:
        if (full := why_unwritable(error)) is not None:
            raise InputError(f"{unwritten(path, full)} Or give a cache on another disk with --cache_dir.") from None
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise InputError(
            f"the cache folder {path.parent} cannot be used ({reason}): give another with --cache_dir."
        ) from None


def _is_there(path: Path) -> bool:
    if not path.is_file():
        return False
    if _is_whole(path):
        return True
    logger.warning("%s is damaged: making it anew.", path)
    return False


def _write(path: Path, make: Callable[[Any], Iterator[MarkedRows]]) -> None:
    """Writes an Arrow stream, and after its end the checksum of its bytes, in the place of what is there."""
    former = _stamp(path)
    begun = path.with_name(f"{path.name}.draft").exists()
    rows = None if begun else _begun(make(None))  # before a folder is made for text that there is not enough of
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f"{path.name}.lock")) as lock:
        try:
            if _stamp(path) == former or not _is_whole(path):  # or another process made it meanwhile
                draft = _Draft(path)
                draft.take_up()
                draft.write(rows if rows is not None and draft.mark is None else make(draft.mark))
        finally:
            with suppress(OSError):
                os.unlink(lock.lock_file)  # while it is held: who waits for it finds that it has no name


def _begun(rows: Iterator[MarkedRows]) -> Iterator[MarkedRows]:
    return chain([next(rows)], rows)


def _stamp(path: Path) -> tuple[int, int] | None:
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None


class _Draft:
    """File of rows that is being written, and the note beside it from which a later process can go on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.with_name(f"{path.name}.draft")
        self._note = path.with_name(f"{path.name}.draft.json")
        self.mark: Any = None
        """Mark after the rows that are written; None at the beginning."""
        self._num_bytes, self._checksum, self._noted = 0, 0, 0

    def take_up(self) -> None:
        """Goes on after what another process has written, as far as its note says and the bytes are those of it."""
        try:
            note = json.loads(self._note.read_bytes())
            checksum = _crc(self._file, note["bytes"])
        except (OSError, ValueError, KeyError, TypeError):
            return
        if checksum == note["crc32"]:
            self.mark, self._num_bytes, self._checksum = note["mark"], note["bytes"], checksum
            self._noted = self._num_bytes
            logger.warning("%s was begun by another process: going on where it was.", self._path)

    def write(self, rows: Iterator[MarkedRows]) -> None:
        """Writes the rows that are missing and gives the file its name; leaves nothing where that fails.

        Where it is stopped, or a process that helps is killed, what is written stays, to be gone on with.
        """
        try:
            with self._file.open("r+b" if self._num_bytes else "wb") as file:
                file.truncate(self._num_bytes)
                file.seek(self._num_bytes)
                for some, mark in rows:
                    self._add(file, some)
                    self.mark = mark
                    if self._num_bytes - self._noted >= BYTES_BETWEEN_NOTES:
                        self._write_note(file)
                self._append(file, _END_OF_STREAM)
                file.write(self._checksum.to_bytes(CHECKSUM_BYTES, "big"))
            os.replace(self._file, self._path)
        except ProcessKilled:
            raise
        except Exception:
            self._remove(self._file)
            raise
        finally:
            if not self._file.exists():
                self._remove(self._note)

    def _add(self, file: BinaryIO, rows: Rows) -> None:
        kind = pa.list_(pa.from_numpy_dtype(rows.dtype), rows.shape[1])
        schema = pa.schema({"input_ids": kind})
        if not self._num_bytes:
            self._append(file, schema.serialize())
        column = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), type=kind)
        self._append(file, pa.record_batch([column], schema=schema).serialize())

    def _append(self, file: BinaryIO, content: bytes | pa.Buffer) -> None:
        file.write(content)
        self._checksum = zlib.crc32(content, self._checksum)
        self._num_bytes += len(content)

    def _write_note(self, file: BinaryIO) -> None:
        file.flush()
        os.fsync(file.fileno())
        note = {"bytes": self._num_bytes, "crc32": self._checksum, "mark": self.mark}
        write_whole(self._note, json.dumps(note).encode())
        self._noted = self._num_bytes

    def _remove(self, file: Path) -> None:
        with suppress(OSError):
            file.unlink(missing_ok=True)


def _is_whole(path: Path) -> bool:
    size = path.stat().st_size - CHECKSUM_BYTES
    if size <= 0:
        return False
    with path.open("rb") as file:
        file.seek(size)
        return file.read() == _crc(path, size).to_bytes(CHECKSUM_BYTES, "big")


def _crc(path: Path, size: int) -> int:
    """CRC-32 of the first ``size`` bytes of a file."""
    value = 0
    with path.open("rb") as file:
        while piece := file.read(min(_PIECE_BYTES, size)):
            value, size = zlib.crc32(piece, value), size - len(piece)
    return value
