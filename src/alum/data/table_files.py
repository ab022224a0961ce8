"""Tables of examples from local files: text is text, and only columns that are named are read.

Nothing is inferred from CSV, whose values all stay text; JSON lines and Parquet say themselves what is a number.
Nothing is kept either: what a file holds when it is read is what comes.
"""

import csv
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset, Features, Json, concatenate_datasets
from pyarrow import parquet

from alum.core.errors import InputError
from alum.data.files import ARRAY_NOT_LINES, existing_file, lines_in, read_text
from alum.data.squad_files import is_squad, squad_rows

_ROWS = "rows, one for each example"
FORMATS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}


_MAY_BE_HALF = "\\u"
"""What a JSON text has that holds half of a character, which can only be spelled out."""

# Names of the columns to read, of those that a file has.
_Wanted = Callable[[Sequence[str]], list[str]]


class MissingColumnError(InputError):
    """An `InputError` about a table that lacks columns, which are ``missing``."""

    def __init__(self, message: str, missing: Sequence[str]) -> None:
        super().__init__(message)
        self.missing = missing


def load_table(
    path: str | os.PathLike[str], columns: Sequence[str] | None = None, optional: Sequence[str] = ()
) -> Dataset:
    """Loads a table from a JSON lines, CSV or Parquet file: ``columns``, and those of ``optional`` that are there.

    All columns are read where none are named. Raises `InputError` for a missing, empty or malformed file, with the row
    where there is one, and `MissingColumnError` for a column that is not there.
    """

    def wanted(names: Sequence[str]) -> list[str]:
        if columns is None:
            return list(names)
        _require(names, columns, str(path))
        return [name for name in dict.fromkeys((*columns, *optional)) if name in names]

    table = _read(path, wanted)
    if len(table) == 0:
        raise InputError(f"{path} has no rows: expected one for each example. Name the file that holds them.")
    return table


def columns_of(path: str | os.PathLike[str]) -> list[str]:
    """Names of the columns of a table in a file; raises as `load_table` does."""
    found: list[str] = []

    def none_of(names: Sequence[str]) -> list[str]:
        found.extend(names)
        return []

    _read(path, none_of)
    return found


def _read(path: str | os.PathLike[str], wanted: _Wanted) -> Dataset:
    path = existing_file(path)
    ending = path.suffix.lower()
    if ending in (".gz", ".bz2", ".xz", ".zst", ".zip"):
        raise InputError(f"{path} is compressed: unpack it first, for example with gzip -d.")
    if ending not in FORMATS:
        raise InputError(
            f"{path}: expected a file that ends in {', '.join(FORMATS)}, not {path.suffix or 'nothing'!r}."
        )
    return _READERS[FORMATS[ending]](path, wanted)


def require_columns(table: Dataset, columns: list[str], where: str) -> None:
    """Raises `InputError`, with the columns that there are, if one of ``columns`` is missing."""
    _require(table.column_names, columns, where)


def _require(names: Sequence[str], columns: Sequence[str], where: str) -> None:
    missing = [column for column in columns if column not in names]
    if missing:
        raise MissingColumnError(
            f"{where} has no column {', '.join(map(repr, missing))}: its columns are {', '.join(names)}.", missing
        )


# -- CSV ---------------------------------------------------------------------------------------------------------------


def _from_csv(path: Path, wanted: _Wanted) -> Dataset:
    read_text(path, _ROWS)  # raises for what is no text
    try:
        names, rows = _csv_rows(path, {})
    except csv.Error as error:
        try:  # quotes within quotes as \", which some programs write, instead of ""
            names, rows = _csv_rows(path, {"escapechar": "\\"})
        except csv.Error:
            raise _not_read(path, str(error)) from None
    kept = wanted(names)
    for name in kept:
        if names.count(name) > 1:
            raise _not_read(path, f"column {name!r} exists {names.count(name)} times")
    places = [names.index(name) for name in kept]
    values = [pa.array([row[place] for row in rows], pa.string()) for place in places]
    return Dataset(pa.table(values, names=kept))


def _csv_rows(path: Path, dialect: dict[str, str]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a CSV file; raises `csv.Error`, with the row, for what is none."""
    former = csv.field_size_limit(sys.maxsize)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True, **dialect)  # type: ignore[arg-type]
            names: list[str] = []
            rows: list[list[str]] = []
            try:
                for row in reader:
                    if not row:  # a blank line
                        continue
                    if names and len(row) != len(names):
                        raise csv.Error(f"Expected {len(names)} columns, got {len(row)}")
                    if names:
                        rows.append(row)
                    else:
                        names = row
            except csv.Error as error:
                number = len(rows) + (2 if names else 1)
                raise csv.Error(f"Row #{number}: {error} (line {reader.line_num})") from None
            return names, rows
    finally:
        csv.field_size_limit(former)


# -- JSON --------------------------------------------------------------------------------------------------------------


def _from_json(path: Path, wanted: _Wanted) -> Dataset:
    rows = list(_json_rows(path))
    names = wanted(list(dict.fromkeys(name for row in rows for name in row)))
    columns = [_json_column(name, [row.get(name) for row in rows]) for name in names]
    return concatenate_datasets(columns, axis=1) if columns else Dataset.from_dict({})


def _json_column(name: str, values: list[Any]) -> Dataset:
    """Column of one type, or of whatever JSON has, where no type holds all values."""
    try:
        return Dataset(pa.table({name: pa.array(values)}))
    except (pa.ArrowException, OverflowError):
        return Dataset.from_dict({name: values}, features=Features({name: Json()}))


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    if path.suffix.lower() == ".json" and (content := _json_object(path)) is not None:
        yield from content
        return
    is_first = True
    for number, line in enumerate(lines_in(path, _ROWS), start=1):
        if not line.strip():
            continue
        if is_first and line.lstrip().startswith("["):
            yield from _json_array(path, number)
            return
        is_first = False
        yield _json_row(path, number, line)


def _json_object(path: Path) -> list[dict[str, Any]] | None:
    """Rows of a file that is one object: SQuAD's, or a single row; None for others."""
    text = read_text(path, _ROWS)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):  # lines, whose errors have the number of the line
        return None
    if not isinstance(content, dict):
        return None
    if _MAY_BE_HALF in text:
        _check_unicode(content, str(path))
    try:
        return list(squad_rows(content)) if is_squad(content) else [content]
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: expected the articles of SQuAD, each with its questions, but {error!r}.") from None


def _json_row(path: Path, number: int, line: str) -> dict[str, Any]:
    where = f"{path}, line {number}"
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON ({_reason(error)}). Expected one object a line.") from None
    if not isinstance(row, dict):
        raise InputError(f"{where}: expected a JSON object, not {'null' if row is None else type(row).__name__}.")
    if _MAY_BE_HALF in line:
        _check_unicode(row, where)
    return row


def _json_array(path: Path, number: int) -> list[dict[str, Any]]:
    """Rows of a file that is one array of objects, which begins at line ``number``."""
    text = read_text(path, _ROWS)
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        rows = None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path}, line {number}: {ARRAY_NOT_LINES}")
    if _MAY_BE_HALF in text:
        for index, row in enumerate(rows, start=1):
            _check_unicode(row, f"{path}, row {index}")
    return rows


def _check_unicode(row: dict[str, Any], where: str) -> None:
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(str(error.object)[error.start]):x}"
        raise InputError(f"{where}: holds {half} alone, half of a character in UTF-16.") from None


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos}"
    return str(error).splitlines()[0]


# -- Parquet -----------------------------------------------------------------------------------------------------------


def _from_parquet(path: Path, wanted: _Wanted) -> Dataset:
    try:
        with parquet.ParquetFile(path) as file:
            names = wanted(file.schema_arrow.names)
            return Dataset(file.read(columns=names).select(names))
    except InputError:
        raise
    except (pa.ArrowException, ValueError, TypeError, KeyError, OSError) as error:
        raise _not_read(path, (str(error).strip() or repr(error)).splitlines()[0]) from None


_READERS: dict[str, Callable[[Path, _Wanted], Dataset]] = {
    "json": _from_json,
    "csv": _from_csv,
    "parquet": _from_parquet,
}


def _not_read(path: Path, reason: str) -> InputError:
    return InputError(f"{path} cannot be read as {FORMATS[path.suffix.lower()]}: {reason}")
