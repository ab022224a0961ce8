"""A table of examples that knows where each row came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from datasets import Dataset, concatenate_datasets

from alum.core.errors import InputError
from alum.data.table_files import require_columns
from alum.data.values import is_missing, missing_words, whole_number

UNLABELLED = -1
"""Label of published rows that have none."""


@dataclass(frozen=True)
class Table:
    """Table of examples: rows, each with its number, counted from 1, in the file or split ``where`` it is from."""

    rows: Dataset
    where: str
    numbers: Sequence[int]

    @classmethod
    def of(cls, rows: Dataset, where: str) -> Table:
        return cls(rows, where, range(1, len(rows) + 1))

    def __len__(self) -> int:
        return len(self.rows)

    def require(self, columns: Sequence[str]) -> None:
        """Raises `InputError` if a column is missing."""
        require_columns(self.rows, list(columns), self.where)

    def column(self, name: str) -> list[Any]:
        return list(self.rows[name][:])  # at once, which is ten times as fast as one by one

    def texts(self, name: str) -> list[str]:
        """Values of a column that must be text; raises `InputError` with the row where one is not."""
        values = self.column(name)
        for index, value in enumerate(values):
            if not isinstance(value, str):
                raise self.error(index, f"column {name!r} must be text, not {value!r}")
        return values

    def error(self, index: int, message: str) -> InputError:
        """Makes an error about the row at ``index`` that names its file or split and its number."""
        return InputError(f"{self.where}, row {self.numbers[index]}: {message}.")

    def select(self, indices: Sequence[int]) -> Table:
        return Table(self.rows.select(indices), self.where, [self.numbers[i] for i in indices])

    @classmethod
    def joined(cls, parts: Sequence[Table]) -> Table:
        """Joins tables of the same columns to one, whose rows keep their numbers."""
        rows = concatenate_datasets([part.rows for part in parts])
        numbers = [number for part in parts for number in part.numbers]
        return cls(rows, " + ".join(part.where for part in parts), numbers)

    def first(self, count: int | None) -> Table:
        return self if count is None or count >= len(self) else self.select(range(count))

    def without(self, column: str) -> Table:
        """Returns the table without a column, which need not be there."""
        rows = self.rows.remove_columns(column) if column in self.rows.column_names else self.rows
        return Table(rows, self.where, self.numbers)

    def labelled(self, column: str, *, minus_one_is_none: bool = True) -> Table:
        """Returns the rows that have a label: neither empty nor null nor NaN, nor a word for these among numbers.

        Nor -1, as in GLUE's test sets and parts of SNLI, unless ``minus_one_is_none`` is false: then only where no row
        has another label. Raises `InputError` where no row has one.
        """
        self.require([column])
        values = self.column(column)
        words = missing_words(values)
        given = [i for i, value in enumerate(values) if not (is_missing(value) or _is_one_of(value, words))]
        kept = [i for i in given if whole_number(values[i]) != UNLABELLED]
        if not kept:
            raise InputError(f"{self.where} has no labelled rows: column {column!r} is empty or -1 throughout.")
        return self._with(kept if minus_one_is_none else given)

    def filled(self, column: str) -> Table:
        """Returns the rows whose column is not empty; raises `InputError` where there is none."""
        self.require([column])
        kept = [i for i, value in enumerate(self.column(column)) if not is_missing(value)]
        if not kept:
            raise InputError(f"{self.where} has no labelled rows: column {column!r} is empty throughout.")
        return self._with(kept)

    def _with(self, indices: Sequence[int]) -> Table:
        return self if len(indices) == len(self) else self.select(indices)


def _is_one_of(value: Any, words: frozenset[str]) -> bool:
    return isinstance(value, str) and value in words
