"""Rows that a caller holds in memory, in the forms that people have them in, as a table of ``datasets``."""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset, IterableDataset
from pyarrow import ArrowException

from alum.core.errors import InputError

_ROWS_AT_ONCE = 1000
EXPECTED = "a datasets.Dataset, a pandas data frame or a list of dictionaries, one a row"


def dataset_of(rows: Any, where: str) -> Dataset:
    """Makes a table of rows in memory: a `datasets.Dataset`, a pandas data frame or a list of dictionaries.

    The caller's object stays as it is. A key that a dictionary lacks is an empty cell. ``where`` stands for the rows in
    messages. Raises `InputError` for what is none of these, and where there are no rows.
    """
    try:
        table = _table(rows)
    except (ArrowException, TypeError, ValueError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise InputError(f"{where} cannot be made a table: {first_line}. Expected {EXPECTED}.") from None
    if table is None:
        raise InputError(f"{where} must be {EXPECTED}, not {type(rows).__name__}.{_hint(rows)}")
    if len(table) == 0:
        raise InputError(f"{where}: there are no rows.")
    return table


def is_rows(value: Any) -> bool:
    """Whether a value is rows in one of the forms that `dataset_of` reads, by its type and its first element."""
    return isinstance(value, Dataset) or _is_frame(value) or (_is_list(value) and all(map(_is_row, value[:1])))


def content_digest(rows: Dataset) -> str:
    """Digest of the rows of a table, their order and the names and types of their columns."""
    digest = hashlib.blake2b(str(rows.features).encode(), digest_size=16)
    for table in rows.with_format("arrow").iter(_ROWS_AT_ONCE):
        for batch in table.combine_chunks().to_batches():
            digest.update(batch.serialize())
    return digest.hexdigest()


def _table(rows: Any) -> Dataset | None:
    if isinstance(rows, Dataset):
        return rows.with_format(None)  # one that makes tensors of its values would do so of labels too
    if _is_frame(rows):
        return Dataset.from_pandas(rows, preserve_index=False)
    if not _is_list(rows) or not all(map(_is_row, rows)):
        return None
    names = list(dict.fromkeys(name for row in rows for name in row))
    return Dataset.from_dict({name: [row.get(name) for row in rows] for name in names})


def _is_frame(value: Any) -> bool:
    pandas = sys.modules.get("pandas")  # where nobody imported it, nobody has a frame of it
    return pandas is not None and isinstance(value, pandas.DataFrame)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _is_row(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)


def _hint(rows: Any) -> str:
    if isinstance(rows, IterableDataset):
        return " Take some of a stream first: Dataset.from_list(list(rows.take(1000)))."
    return ""
