"""Tables of examples written to local files, whole or not at all, as `alum.data.table_files` reads them."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from alum.core.errors import InputError
from alum.data.values import as_json
from alum.data.writing import write_text, write_whole

_ENDINGS = (".jsonl", ".csv", ".parquet")


def check_writable(file: Path, overwrite: bool) -> None:
    """Raises `InputError` for a file of another format, one that is there, and a folder that is not."""
    if file.suffix.lower() not in _ENDINGS:
        raise InputError(f"{file}: expected a file to write that ends in {', '.join(_ENDINGS)}.")
    if file.exists() and not overwrite:
        raise InputError(f"{file} exists: name another one, or give --overwrite_output_file.")
    if not file.parent.is_dir():
        raise InputError(f"{file.parent} is no folder: make it first, or write elsewhere.")


def write_table(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes rows as JSON lines, CSV or Parquet, by the ending; lists and objects are JSON in the latter two."""
    ending = file.suffix.lower()
    if ending == ".jsonl":
        write_text(file, "".join(json.dumps(as_json(row), ensure_ascii=False) + "\n" for row in rows))
        return
    flat = [{name: _flat(value) for name, value in row.items()} for row in rows]
    if ending == ".csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, list(flat[0]) if flat else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(flat)
        write_text(file, text.getvalue())
        return
    content = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(flat), content)
    write_whole(file, content.getvalue())


def _flat(value: Any) -> Any:
    return json.dumps(as_json(value), ensure_ascii=False) if isinstance(value, list | dict) else value
