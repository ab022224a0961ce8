"""Tables of examples from local files, with errors that name the file and the row."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from datasets import Dataset, DatasetDict, are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
from datasets.exceptions import DatasetGenerationError
from datasets.utils import logging
from pyarrow import csv

from alum.core.errors import InputError
from alum.data.files import ARRAY_NOT_LINES, existing_file, read_text

FORMATS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}


def load_table(path: str | os.PathLike[str]) -> Dataset:
    """Loads a table from a JSON lines, CSV or Parquet file.

    Raises `InputError` for a missing, empty or malformed file, with the row where there is one.
    """
    path = existing_file(path)
    if path.suffix in (".gz", ".bz2", ".xz", ".zst", ".zip"):
        raise InputError(f"{path} is compressed: unpack it first, for example with gzip -d.")
    if path.suffix not in FORMATS:
        raise InputError(
            f"{path}: expected a file that ends in {', '.join(FORMATS)}, not {path.suffix or 'nothing'!r}."
        )
    if FORMATS[path.suffix] != "parquet":
        read_text(path)
    had_bars = not are_progress_bars_disabled()
    disable_progress_bars()
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)  # what it says of a malformed file is said below, with the line
    try:
        table = _READERS[FORMATS[path.suffix]](path)
    except (DatasetGenerationError, ValueError, TypeError, KeyError, OSError) as error:
        raise InputError(_malformed(path, error)) from None
    finally:
        logging.set_verbosity(verbosity)
        if had_bars:
            enable_progress_bars()
    if len(table) == 0:
        raise InputError(f"{path} has no rows.")
    return table


def load_folder(folder: str | os.PathLike[str]) -> DatasetDict:
    """Loads the splits of a folder: each file is one, named as the file without its ending (``validation.jsonl``)."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"no folder at {folder} (from {Path.cwd()}): check the name.")
    files = sorted(p for p in folder.iterdir() if p.suffix in FORMATS and p.suffix != ".json")
    if not files:
        raise InputError(f"{folder} holds no file that ends in .jsonl, .csv or .parquet, such as train.jsonl.")
    return DatasetDict({file.stem: load_table(file) for file in files})


def require_columns(table: Dataset, columns: list[str], where: str) -> None:
    """Raises `InputError`, with the columns that there are, if one of ``columns`` is missing."""
    missing = [column for column in columns if column not in table.column_names]
    if missing:
        raise InputError(
            f"{where} has no column {', '.join(map(repr, missing))}: its columns are {', '.join(table.column_names)}."
        )


def _from_csv(path: Path) -> Dataset:
    """Differs from `Dataset.from_csv`: text that reads "None" or "NA" is text, and integers beside empty cells are
    still integers."""
    # One thread, so that errors have the number of the line.
    read, parse = csv.ReadOptions(use_threads=False), csv.ParseOptions(newlines_in_values=True)
    return Dataset(csv.read_csv(path, read, parse))


_READERS: dict[str, Callable[[Path], Dataset]] = {
    "json": lambda path: Dataset.from_json(str(path)),
    "csv": _from_csv,
    "parquet": lambda path: Dataset.from_parquet(str(path)),
}


def _malformed(path: Path, error: Exception) -> str:
    if FORMATS[path.suffix] == "json":
        for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), start=1):
            if not line.strip():
                continue
            if number == 1 and line.lstrip().startswith("["):
                return f"{path}, line 1: {ARRAY_NOT_LINES}"
            try:
                row = json.loads(line)
            except json.JSONDecodeError as bad:
                return (
                    f"{path}, line {number}: not JSON ({bad.msg} at character {bad.pos}). Expected one object a line."
                )
            if not isinstance(row, dict):
                return f"{path}, line {number}: expected a JSON object, not {type(row).__name__}."
    cause = error.__cause__ or error
    first_line = (str(cause).strip() or repr(cause)).splitlines()[0]
    return f"{path} cannot be read as {FORMATS[path.suffix]}: {first_line}"
