"""Rows of a task: a table together with what its columns hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datasets import Dataset

from alum.core.errors import InputError
from alum.data.table import Table
from alum.tasks.layout import Layout


@dataclass(frozen=True)
class TaskRows:
    """A table of examples and the layout of its columns, which belong together."""

    table: Table
    layout: Layout

    def __len__(self) -> int:
        return len(self.table)

    @property
    def numbers(self) -> Sequence[int]:
        """Number of each row in the file or split that it is from, counted from 1."""
        return self.table.numbers

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the labels in the order of their integers; empty for tasks without."""
        return self.layout.label_names

    @property
    def has_labels(self) -> bool:
        """Whether there is a label column at all."""
        return self.layout.label in self.table.rows.column_names

    def labels(self) -> list[Any]:
        """Values of the label column, as they are."""
        return self.table.column(self.layout.label)

    def texts(self) -> list[list[str]]:
        """Each text column; raises `InputError` where one is missing, or holds something else than text."""
        self.table.require(self.layout.text)
        return [self.table.texts(column) for column in self.layout.text]

    def error(self, index: int, message: str) -> InputError:
        """What is wrong with the row at ``index``, named by its number."""
        return self.table.error(index, message)

    def select(self, indices: Sequence[int]) -> TaskRows:
        return dataclasses.replace(self, table=self.table.select(indices))

    def first(self, count: int | None) -> TaskRows:
        """At most ``count`` rows from the beginning; all of them where it is None."""
        return dataclasses.replace(self, table=self.table.first(count))

    def labelled(self) -> TaskRows:
        """Without unlabelled rows (`Table.labelled`)."""
        return dataclasses.replace(self, table=self.table.labelled(self.layout.label))

    def unlabelled(self) -> TaskRows:
        """Without the label column, as rows to predict."""
        return dataclasses.replace(self, table=self.table.without(self.layout.label))

    def with_label_names(self, names: tuple[str, ...]) -> TaskRows:
        return dataclasses.replace(self, layout=dataclasses.replace(self.layout, label_names=names))

    def with_columns(self, columns: Mapping[str, Sequence[Any]]) -> TaskRows:
        """The same rows with other values in some of the columns."""
        rows = self.table.rows
        values = {name: columns.get(name, self.table.column(name)) for name in rows.column_names}
        changed = Table(Dataset.from_dict(values, features=rows.features), self.table.where, self.table.numbers)
        return dataclasses.replace(self, table=changed)
