"""Records of measured rows, kept as soon as there are any, so that a measurement that was stopped can go on."""

import json
from collections.abc import Iterable, Set
from pathlib import Path
from typing import Any

from alum.core.errors import InputError
from alum.data.values import as_json
from alum.data.writing import explained_if_full

ROW = "row"


class RowRecords:
    """Records of measured rows by row number, ``record["row"]``: a JSON line each in a file, or in memory alone.

    A last line that was cut short, as a kill or a full disk leaves it, is dropped, and its row measured again. So are
    the rows of records without one of the ``needed`` fields, which earlier versions did not keep; their lines stay, and
    the last one of a row counts. Raises `InputError` for a file that holds anything else.
    """

    def __init__(self, path: Path | None = None, needed: Set[str] = frozenset()) -> None:
        self._path, self._needed = path, needed
        self._known: dict[int, dict[str, Any]] = {}
        if path is not None and path.is_file():
            self._read(path)

    def __len__(self) -> int:
        return len(self._known)

    def of(self, rows: Iterable[int]) -> list[dict[str, Any]]:
        """Returns the records of rows, in the order asked for; all of them must be known."""
        return [self._known[row] for row in rows]

    def missing(self, rows: Iterable[int]) -> list[int]:
        return [row for row in rows if row not in self._known]

    def add(self, records: Iterable[dict[str, Any]]) -> None:
        """Adds records; after this returns a kill does not lose those that are kept in a file."""
        records = [as_json(record) for record in records]  # as they are when they are read again
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
            with explained_if_full(self._path), self._path.open("ab") as file:
                file.write(lines.encode("utf-8", errors="surrogatepass"))
        self._known |= {record[ROW]: record for record in records}

    def _read(self, path: Path) -> None:
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            with path.open("r+b") as file:
                file.truncate(len(whole))
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                record = json.loads(line.decode("utf-8", errors="surrogatepass"))
                row = record[ROW]
                if self._needed <= record.keys():
                    self._known[row] = record
            except (ValueError, TypeError, KeyError):
                raise InputError(
                    f"{path}, line {number}: expected the record of a row, not {line[:40]!r}. Remove the file to "
                    "measure its rows again."
                ) from None
