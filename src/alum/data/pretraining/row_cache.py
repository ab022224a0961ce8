"""Cache of token sequences on disk: written once, then read memory-mapped, with a checksum."""

import logging
import os
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset
from numpy.typing import NDArray
from pyarrow import ipc

from alum.core.errors import InputError

logger = logging.getLogger(__name__)

Rows = NDArray[np.integer[Any]]
"""Token ids of sequences of one length, ``[rows, length]``."""

CHECKSUM_BYTES = 4
_PIECE_BYTES = 1 << 20


def cached_rows(path: Path, make: Callable[[], Iterator[Rows]]) -> Dataset:
    """Reads rows, column input_ids, from the file ``path``; if it is missing or damaged, writes it first.

    ``make`` gives one or more arrays of rows of the same length, and only one is ever held in memory. Raises
    `InputError` for a folder that cannot be read or written.
    """
    try:
        is_there = path.is_file()
        if not (is_there and _is_whole(path)):
            if is_there:
                logger.warning("%s is damaged: making it anew.", path)
            _write(path, make())
        return Dataset.from_file(str(path))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise InputError(
            f"the cache folder {path.parent} cannot be used ({reason}): give another with --cache_dir."
        ) from None


def _write(path: Path, rows: Iterator[Rows]) -> None:
    """Writes an Arrow stream, and after its end the checksum of its bytes."""
    first = next(rows)
    kind = pa.list_(pa.from_numpy_dtype(first.dtype), first.shape[1])
    schema = pa.schema({"input_ids": kind})
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}.draft")  # others may be writing the same rows
    try:
        with pa.OSFile(str(draft), "wb") as file, ipc.new_stream(file, schema) as stream:
            for some in chain([first], rows):
                column = pa.FixedSizeListArray.from_arrays(pa.array(some.ravel()), type=kind)
                stream.write_batch(pa.record_batch([column], schema=schema))
        checksum = _checksum(draft, draft.stat().st_size)
        with draft.open("ab") as file:
            file.write(checksum)
        os.replace(draft, path)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _is_whole(path: Path) -> bool:
    size = path.stat().st_size - CHECKSUM_BYTES
    if size <= 0:
        return False
    with path.open("rb") as file:
        file.seek(size)
        return file.read() == _checksum(path, size)


def _checksum(path: Path, size: int) -> bytes:
    """The CRC-32 of the first ``size`` bytes of a file."""
    value = 0
    with path.open("rb") as file:
        while piece := file.read(min(_PIECE_BYTES, size)):
            value, size = zlib.crc32(piece, value), size - len(piece)
    return value.to_bytes(CHECKSUM_BYTES, "big")
